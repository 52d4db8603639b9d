// The payload objects of sections 8 to 10, 13, 15 and 16 of docs/protocol.md, member by member.

import { PATTERNS, VERSION, catalogue, isName, pattern } from './catalogue.mjs'
import { Refused, b64u, compare, decode, isObject, malformed, text, time, unb64u } from './codec.mjs'
import { publicKey } from './crypto.mjs'

const MAX = 2 ** 53 - 1
const ORIGIN = /^[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?(\/[a-z0-9-]{1,40}){0,2}$/
export const NO_PREVIOUS = 'A'.repeat(43)
export const PROTOCOL_CODES = (
  'MALFORMED VERSION ORIGIN KID_UNKNOWN KEY_NOT_ACTIVE KEY_REVOKED KEY_WRONG_USE LOG_STALE LOG_FORK SIG_INVALID ' +
  'SENDER_MISMATCH MANIFEST_MISMATCH CONSENT_UNKNOWN CONSENT_MISMATCH CONSENT_EXPIRED CONSENT_WITHDRAWN ' +
  'CONSENT_SUPERSEDED SUBJECT_MISMATCH RECIPIENT_DENIED FIELD_DENIED PURPOSE_DENIED AUTHORITY_MISSING ' +
  'SCREENING_DENIED STAGE_DENIED POLICY_DENIED GRANT_EXPIRED REPLAY SEQ_CONFLICT PART_MISSING PART_DIGEST DECRYPT_FAILED'
).split(' ')

// -- members: each takes a value and throws where it is not one ---------------------------------------

const like = (regexp) => (value) => pattern(value, regexp)
const id = like(PATTERNS.id)
const digest = like(PATTERNS.digest)
const agency = like(PATTERNS.agency)
const country = like(PATTERNS.country)
const language = like(PATTERNS.language)
const words = (chars) => (value) => text(value, chars)
const whole = (least, most) => (value) => {
  if (!Number.isInteger(value) || value < least || value > most) throw malformed('a number in its range is needed')
}
const flag = (value) => {
  if (typeof value !== 'boolean') throw malformed('true or false is needed')
}
const code = (codes) => (value) => {
  if (typeof value !== 'string' || !codes.includes(value)) throw malformed('not a code of its list')
}
const bytes = (size) => (value) => {
  unb64u(value, size)
}
const optional = (check) => ({ check, optional: true })

function listOf(check, least, most, { sorted = false, unique = false } = {}) {
  return (value) => {
    if (!Array.isArray(value) || value.length < least || value.length > most) throw malformed('a list is needed')
    value.forEach(check)
    if (sorted && value.some((item, at) => at > 0 && compare(value[at - 1], item) >= 0)) throw malformed('not sorted')
    if (unique) noneTwice(value)
  }
}

function noneTwice(values) {
  if (new Set(values).size !== values.length) throw malformed('something stands there twice')
}

export function object(members, rules = () => {}) {
  return (value) => {
    if (!isObject(value)) throw malformed('an object is needed')
    for (const [name, member] of Object.entries(members)) {
      if (name in value) (member.check ?? member)(value[name])
      else if (member.optional !== true) throw malformed(`${name} is missing`)
    }
    if (Object.keys(value).some((name) => !Object.hasOwn(members, name))) throw malformed('an unknown member')
    rules(value)
  }
}

const before = (early, late) => {
  if (time(early) >= time(late)) throw malformed('times out of order')
}

const JWS = object({
  payload: bytes({ most: 16384 }),
  signatures: listOf(object({ protected: bytes({ most: 512 }), signature: bytes({ most: 4096 }) }), 1, 34),
})

// -- objects -------------------------------------------------------------------------------------------

const FRAME = { v: whole(1, 1), typ: () => {}, origin: like(ORIGIN) }
const dir = object({ size: whole(0, MAX), root: digest })
const part = object({
  p: id,
  f: (value) => {
    if (typeof value !== 'string' || !isName(value)) throw malformed('not a field')
  },
  len: whole(1, 26764872),
  sha256: digest,
})

function grantRules(core) {
  before(core.iat, core.exp)
  const kind = catalogue.kind[core.kind]
  if (core.snd !== core.rcp) {
    if ('cns' in core !== 'subj' in core) throw malformed('cns and subj come together')
    if (kind.authority === 'consent' && !('cns' in core)) throw malformed('this kind needs a consent')
    if (kind.authority === 'none' && 'cns' in core) throw malformed('this kind points at no consent')
    if ((kind.header ?? []).some((name) => !(name in core))) throw malformed('this kind needs a member')
  }
  noneTwice(core.parts.map((one) => one.p))
  noneTwice(core.parts.map((one) => one.f))
  if ((core.seq === 1) !== (core.prev === NO_PREVIOUS)) throw malformed('seq and prev do not fit')
}

const grant = object(
  {
    ...FRAME, eid: id, gid: id, thread: id, kind: code(Object.keys(catalogue.kind)), snd: agency, rcp: agency,
    rcp_kid: digest, sch: whole(VERSION, VERSION), pur: code(Object.keys(catalogue.purpose)), cns: optional(digest),
    subj: optional(digest), iat: time, exp: time, reply_by: optional(time), in_reply_to: optional(id),
    supersedes: optional(id), seq: whole(1, MAX), prev: digest, dir, parts: listOf(part, 0, 64),
  },
  grantRules,
)
const manifest = object({ ...FRAME, eid: id, snd: agency, iat: time, grants: listOf(digest, 1, 65, { sorted: true }) })

const SUBJECTS = [...new Set(Object.values(catalogue.field).flatMap((field) => field.about))]
const authority = object({ about: code(SUBJECTS), basis: code(Object.keys(catalogue.basis)), evidence_digest: digest })
const screening = object({ state: code(catalogue.codes.screening_state), evidence_digest: optional(digest) }, (value) => {
  if ((value.state === 'cleared') !== 'evidence_digest' in value) throw malformed('evidence comes with cleared')
})
const record = object({
  schema_version: like(/^[A-Za-z0-9][A-Za-z0-9.:_-]{0,39}$/), record_id: optional(id), notice_language: optional(language),
  notice_digest: optional(digest), language: optional(language), collection_method: optional(like(/^[a-z][a-z0-9_]{1,39}$/)),
  jurisdiction: optional(country), storage_location: optional(country), lawful_basis_note: optional(words(200)),
  withdrawal_method: optional(words(120)), privacy_rights: optional(words(120)), code_of_conduct: optional(words(80)),
  impact_assessment_digest: optional(digest),
})

// 29 February and 18 years is 1 March where there is none; no time is after 9999.
function yearsAfter(text, years) {
  const year = Number(text.slice(0, 4)) + years
  if (year > 9999) return Number.POSITIVE_INFINITY
  const rest = text.slice(4)
  try {
    return time(String(year).padStart(4, '0') + rest)
  } catch {
    return time(`${String(year).padStart(4, '0')}-03-01${rest.slice(6)}`)
  }
}

function consentRules(consent) {
  if (consent.iss === consent.rcp) throw malformed('a consent to itself')
  before(consent.nbf, consent.exp)
  if (time(consent.exp) > yearsAfter(consent.nbf, 18)) throw malformed('too long')
  if (consent.supersedes === consent.cid) throw malformed('it supersedes itself')
  const subjects = consent.authorities.map((one) => one.about)
  noneTwice(subjects)
  for (const name of consent.fields) {
    const covered = catalogue.field[name].about.every((about) => subjects.includes(about))
    if (!covered) throw new Refused('AUTHORITY_MISSING')
  }
}

const consent = object(
  {
    ...FRAME, cid: id, family: id, iss: agency, rcp: agency, thread: optional(id),
    pur: listOf(code(Object.keys(catalogue.purpose)), 1, 6, { sorted: true }),
    fields: listOf(code(Object.keys(catalogue.field)), 0, 64, { sorted: true }),
    authorities: listOf(authority, 1, 3), screening, after: optional(listOf(id, 2, 2, { unique: true })), nbf: time,
    exp: time, retention_days: whole(1, 6570), subj: digest, supersedes: optional(id), iat: time, record,
  },
  consentRules,
)
const withdrawal = object({ ...FRAME, iss: agency, family: id, reason: code(catalogue.codes.reason_code), iat: time })
const receipt = object(
  {
    ...FRAME, gid: id, grant: digest, snd: agency, rcp: agency, outcome: code(['opened', 'refused']),
    code: optional(code(PROTOCOL_CODES)), iat: time,
  },
  (value) => {
    if ((value.outcome === 'refused') !== 'code' in value) throw malformed('a code comes with refused')
  },
)
const tombstone = object({
  seq: whole(1, MAX), digest, withdrawal: optional(JWS),
  reason: code(['CONSENT_WITHDRAWN', 'CONSENT_EXPIRED', 'CONSENT_SUPERSEDED', 'GRANT_EXPIRED']),
})

// -- events --------------------------------------------------------------------------------------------

const ALGS_OF_USE = { envelope: ['Ed25519'], approver: ['Ed25519'], enc: ['X-Wing'], auth: ['ES256', 'PS256'] }
const operator = object({ name: words(120), kid: digest, key: bytes({ length: 32 }) }, (value) => {
  if (publicKey('Ed25519', unb64u(value.key)).kid !== value.kid) throw malformed('not the kid of the key')
})
const ABOUT = {
  name: words(120), kind: code(catalogue.codes.agency_kind), country, public_authority: flag, contact: words(200),
}
const EVENT = { ...FRAME, iat: time, event: () => {} }
const EVENTS = {
  governance: object({ ...EVENT, k: whole(1, 16), operators: listOf(operator, 1, 16) }, (value) => {
    if (value.k > value.operators.length) throw malformed('k is over the operators')
    noneTwice(value.operators.map((one) => one.kid))
    noneTwice(value.operators.map((one) => one.name))
  }),
  admit: object({ ...EVENT, agency, ...ABOUT, root: digest }),
  'root-set': object({ ...EVENT, agency, ed25519: bytes({ length: 32 }), mldsa65: digest }),
  key: object(
    {
      ...EVENT, agency, use: code(Object.keys(ALGS_OF_USE)), alg: code(Object.values(ALGS_OF_USE).flat()), kid: digest,
      nbf: time, exp: time, holder: optional(words(120)),
    },
    (value) => {
      if (!ALGS_OF_USE[value.use].includes(value.alg)) throw malformed('not an algorithm of the use')
      before(value.nbf, value.exp)
    },
  ),
  drain: object({ ...EVENT, agency, kid: digest, until: time }),
  revoke: object({ ...EVENT, agency, kid: digest, reason: code(catalogue.codes.revoke_reason) }),
  suspend: object({ ...EVENT, agency, reason: code(catalogue.codes.standing_reason) }),
  resume: object({ ...EVENT, agency }),
  expel: object({ ...EVENT, agency, reason: code(catalogue.codes.standing_reason) }),
}

const kinds = listOf(code(catalogue.codes.agency_kind), 1, 16, { sorted: true })
const agreement = object({
  snd: kinds, rcp: kinds, pur: listOf(code(Object.keys(catalogue.purpose)), 1, 6, { sorted: true }),
  fields: listOf(code(Object.keys(catalogue.field)), 1, 64, { sorted: true }),
})
EVENTS.agreements = object(
  { ...EVENT, version: whole(1, MAX), agreements: listOf(agreement, 0, 64) },
  (value) => noneTwice(value.agreements.flatMap(({ snd, rcp }) => snd.flatMap((from) => rcp.map((to) => `${from} ${to}`)))),
)

function event(value) {
  if (typeof value.event !== 'string' || !Object.hasOwn(EVENTS, value.event)) throw malformed('not an event')
  EVENTS[value.event](value)
}

const enrolment = object(
  {
    ...FRAME, agency, ...ABOUT, root: object({ ed25519: bytes({ length: 32 }), mldsa65: bytes({ length: 1952 }) }),
    events: listOf(JWS, 1, 33), keys: listOf(object({ kid: digest, key: bytes({ most: 2048 }) }), 1, 35),
  },
  (value) => noneTwice(value.keys.map((one) => one.kid)),
)

const KIB = 1024
const PAYLOADS = {
  'hx-grant': [grant, 16 * KIB],
  'hx-manifest': [manifest, 16 * KIB],
  'hx-consent': [consent, 8 * KIB],
  'hx-withdrawal': [withdrawal, 2 * KIB],
  'hx-receipt': [receipt, 2 * KIB],
  'hx-event': [event, 16 * KIB],
  'hx-enrol': [enrolment, 256 * KIB],
}

export const limitOf = (typ) => PAYLOADS[typ][1]

export function checkFrame(members, typ) {
  if (members.typ !== typ) throw malformed('another type')
  if (!Number.isInteger(members.v)) throw malformed('a version is needed')
  if (members.v !== 1) throw new Refused('VERSION')
}

// "To read a payload": bytes of a type to its members.
export function readPayload(typ, data) {
  const [check, limit] = PAYLOADS[typ]
  const members = decode(data, limit)
  checkFrame(members, typ)
  if (typ === 'hx-grant' && Number.isInteger(members.sch) && members.sch !== VERSION) throw new Refused('VERSION')
  check(members)
  return members
}

export function readTombstone(data) {
  const members = decode(data, 16 * KIB)
  tombstone(members)
  return members
}


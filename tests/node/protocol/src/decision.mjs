// Section 11 of docs/protocol.md: the consent decision, by its numbered steps.

import { catalogue, checkKind, isField } from './catalogue.mjs'
import { time } from './codec.mjs'

const PUBLIC = ['embassy', 'authority', 'court']
const isPublic = (party) => party.public_authority || PUBLIC.includes(party.kind)
const CODES = {
  'C17-kind': 'FIELD_DENIED', 'C01-unknown': 'CONSENT_UNKNOWN', 'C02-origin': 'ORIGIN', 'C03-issuer': 'SENDER_MISMATCH',
  'C04-recipient': 'RECIPIENT_DENIED', 'C05-withdrawn': 'CONSENT_WITHDRAWN', 'C07-time': 'CONSENT_EXPIRED',
  'C08-subject': 'SUBJECT_MISMATCH', 'C09-thread': 'CONSENT_MISMATCH', 'C10-purpose': 'PURPOSE_DENIED',
  'C11-field': 'FIELD_DENIED', 'C12-field-purpose': 'PURPOSE_DENIED', 'C13-authority': 'AUTHORITY_MISSING',
  'C14-third-country': 'AUTHORITY_MISSING', 'C15-vital-interest': 'AUTHORITY_MISSING', 'C16-screening': 'SCREENING_DENIED',
  'C18-stage': 'STAGE_DENIED', 'C20-policy': 'POLICY_DENIED', 'C06-superseded': 'CONSENT_SUPERSEDED',
}

const kindPurpose = ({ request }) => {
  const purposes = catalogue.kind[request.kind].purposes
  return Object.hasOwn(catalogue.purpose, request.purpose) && (purposes === undefined || purposes.includes(request.purpose))
}

function timely({ side, now }, consent) {
  const leeway = side === 'hub' ? 0 : 120
  return time(consent.nbf) <= time(now) + leeway && time(now) - leeway < time(consent.exp)
}

// Steps 13 to 15: the tag that fails, or null.
function authorities({ sender, recipient, needed }, consent) {
  const abroad = isPublic(sender) && sender.country !== recipient.country
  const long = time(consent.exp) - time(consent.nbf) > 72 * 3600
  const subjects = [...new Set(needed.flatMap((name) => catalogue.field[name].about))].sort()
  for (const about of subjects) {
    let bases = consent.authorities.filter((one) => one.about === about).map((one) => one.basis)
    let tag = 'C13-authority'
    if (abroad && bases.includes('consent')) {
      tag = 'C14-third-country'
      bases = bases.filter((basis) => basis !== 'consent')
    }
    if (long && bases.includes('vital_interest')) {
      tag = 'C15-vital-interest'
      bases = bases.filter((basis) => basis !== 'vital_interest')
    }
    if (bases.length === 0) return tag
  }
  return null
}

function confirmed({ request, side, confirmations }, after) {
  const found = after.map((eid) => confirmations.find((one) => one.eid === eid))
  if (found.includes(undefined)) return false
  const [one, two] = found
  const ways = found.map((item) => `${item.sender} ${item.recipient}`).sort()
  const wanted = [`${request.sender} ${request.recipient}`, `${request.recipient} ${request.sender}`].sort()
  return (
    found.every((item) => item.kind === 'match_confirmation' && item.thread === request.thread) &&
    ways.join() === wanted.join() &&
    (one.in_reply_to === two.eid || two.in_reply_to === one.eid) &&
    (side === 'hub' || found.every((item) => item.decision === 'same_child'))
  )
}

function stage(facts, consent) {
  const late = facts.needed.some((name) => catalogue.field[name].stage === 'match_confirmed')
  return !late || (Array.isArray(consent.after) && confirmed(facts, consent.after))
}

function agreed({ policy, sender, recipient, request, needed }) {
  if (policy === null) return true
  const found = policy.find((one) => one.snd.includes(sender.kind) && one.rcp.includes(recipient.kind))
  return found !== undefined && found.pur.includes(request.purpose) && needed.every((name) => found.fields.includes(name))
}

const STEPS = [
  ['C02-origin', ({ request }, consent) => consent.origin === request.origin],
  ['C03-issuer', ({ request, sender }, consent) => consent.iss === request.sender && sender.agency === consent.iss],
  ['C04-recipient', ({ request, recipient }, consent) => consent.rcp === request.recipient && recipient.agency === consent.rcp],
  ['C05-withdrawn', ({ status }) => status !== 'withdrawn'],
  ['C07-time', timely],
  ['C08-subject', ({ request }, consent) => consent.subj === request.subj],
  ['C09-thread', ({ request }, consent) => (consent.thread ?? request.thread) === request.thread],
  ['C10-purpose', (facts, consent) => consent.pur.includes(facts.request.purpose) && kindPurpose(facts)],
  ['C11-field', ({ needed }, consent) => needed.every((name) => consent.fields.includes(name))],
  ['C12-field-purpose', ({ needed, request }) => needed.every((name) => catalogue.field[name].purposes.includes(request.purpose))],
  ['', authorities],
  ['C16-screening', ({ side, recipient }, consent) => side === 'recipient' || !isPublic(recipient) || consent.screening.state === 'cleared'],
  ['C18-stage', stage],
  ['C20-policy', agreed],
]
const parties = ({ iss, rcp }) => [iss, rcp].sort().join()
const REFERENCE = [
  ['C02-origin', ({ request }, consent) => consent.origin === request.origin],
  ['C03-issuer', ({ request }, consent) => parties(consent) === parties({ iss: request.sender, rcp: request.recipient })],
  ['C08-subject', ({ request }, consent) => request.subj === null || consent.subj === request.subj],
  ['C09-thread', ({ request }, consent) => (consent.thread ?? request.thread) === request.thread],
  ['C10-purpose', kindPurpose],
]

function firstFailing(steps, facts, consent) {
  for (const [tag, holds] of steps) {
    const result = holds(facts, consent)
    if (result === false) return tag
    if (typeof result === 'string') return result
  }
  return null
}

function kindFits({ request, needed }) {
  try {
    checkKind(request.kind, request.fields)
  } catch {
    return false
  }
  return needed.length === 0 || catalogue.kind[request.kind].authority === 'consent'
}

function tagOf(facts) {
  const { request, consent, status, newest } = facts
  if (!kindFits(facts)) return 'C17-kind'
  if (request.sender === request.recipient) return null
  if (catalogue.kind[request.kind].authority !== 'consent') {
    if (consent !== null) return firstFailing(REFERENCE, facts, consent)
    if (request.cns !== null) return 'C01-unknown'
    return kindPurpose(facts) ? null : 'C10-purpose'
  }
  if (consent === null) return 'C01-unknown'
  const failed = firstFailing(STEPS, facts, consent)
  if (failed !== null || status !== 'superseded') return failed
  if (newest === null || newest.family !== consent.family) return 'C06-superseded'
  return firstFailing(STEPS, facts, newest) === null ? null : 'C06-superseded'
}

// {code, tag} of the first step that fails; both null when all hold.
export function decide(facts) {
  const needed = [...new Set(facts.request.fields.filter(isField))]
  const tag = tagOf({ ...facts, needed })
  return { code: tag === null ? null : CODES[tag], tag }
}

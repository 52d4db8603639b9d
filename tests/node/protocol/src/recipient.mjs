// Section 14 of docs/protocol.md: what a recipient checks; section 12: heads of chains.

import { bucketOf, checkKind, openPlaintext } from './catalogue.mjs'
import { Refused, isObject, malformed, time, unb64u } from './codec.mjs'
import { digest } from './crypto.mjs'
import { decide } from './decision.mjs'
import { grantDigest, grantIn, openGrant } from './grants.mjs'
import { readSigned } from './jws.mjs'
import { readPayload } from './schemas.mjs'

const CORE_BYTES = 16384
const SEALED_BYTES = 1136 + 64 * 32

function readManifest(directory, jws, now, { once = false } = {}) {
  const signed = readSigned(jws, 16384)
  const manifest = readPayload('hx-manifest', signed.payload)
  if (signed.signatures.length !== 1) throw new Refused('SIG_INVALID')
  const about = { agency: manifest.snd, use: 'envelope', at: time(manifest.iat), now, once }
  directory.signers(signed, 'hx-manifest', about)
  return manifest
}

function readConsent(directory, jws, now) {
  const signed = readSigned(jws, 8192)
  const consent = readPayload('hx-consent', signed.payload)
  const about = { agency: consent.iss, use: 'approver', at: time(consent.iat), now }
  const holders = new Set(directory.signers(signed, 'hx-consent', about).map((one) => one.holder))
  const urgent = consent.authorities.some((one) => one.basis === 'vital_interest')
  if (holders.size < (urgent ? 2 : 1)) throw new Refused('AUTHORITY_MISSING')
  return { consent, name: digest(signed.payload) }
}

function checkCore(core, { gid, agency, keys, now }) {
  if (core.gid !== gid) throw new Refused('MANIFEST_MISMATCH')
  if (core.rcp !== agency) throw new Refused('RECIPIENT_DENIED')
  if (core.snd === core.rcp) throw new Refused('SENDER_MISMATCH')
  if (!keys.some((key) => key.public.kid === core.rcp_kid)) throw new Refused('KID_UNKNOWN')
  if (time(core.iat) > now + 120) throw malformed('iat: in the future')
  if (time(core.exp) <= now) throw new Refused('GRANT_EXPIRED')
}

function party(directory, agency) {
  const found = directory.agencies.get(agency)
  if (found === undefined || found.status === 'expelled') throw new Refused('SENDER_MISMATCH')
  const { kind, country, public_authority } = found
  return { agency, kind, country, public_authority }
}

function checkConsent(me, core, given) {
  if (core.cns !== undefined && given === null) throw new Refused('CONSENT_UNKNOWN')
  if ((core.cns ?? null) !== (given?.name ?? null)) throw new Refused('CONSENT_MISMATCH')
  const { code } = decide({
    side: 'recipient',
    now: me.nowText,
    request: {
      origin: core.origin, kind: core.kind, sender: core.snd, recipient: core.rcp, purpose: core.pur,
      fields: core.parts.map((ref) => ref.f), thread: core.thread, subj: core.subj ?? null, cns: core.cns ?? null,
    },
    sender: party(me.directory, core.snd),
    recipient: party(me.directory, me.agency),
    consent: given?.consent ?? null,
    status: me.withdrawn ? 'withdrawn' : 'active',
    newest: null,
    confirmations: [],
    policy: null,
  })
  if (code !== null) throw new Refused(code)
}

// Step 6: exactly the parts of the core, each with its ciphertext.
function listedParts(core, parts) {
  if (!Array.isArray(parts) || parts.length > 64) throw malformed('parts')
  const listed = new Map()
  for (const one of parts) {
    if (!isObject(one)) throw malformed('parts')
    listed.set(one.p, { sha256: one.sha256, ct: one.ct === undefined ? null : unb64u(one.ct) })
  }
  if (core.parts.some((ref) => !listed.has(ref.p))) throw new Refused('PART_MISSING')
  if (parts.length !== core.parts.length) throw new Refused('PART_DIGEST')
  if (core.parts.some((ref) => listed.get(ref.p).sha256 !== ref.sha256)) throw new Refused('PART_DIGEST')
  return (ref) => {
    const { ct } = listed.get(ref.p)
    if (ct === null) throw new Refused('PART_MISSING')
    return ct
  }
}

// The values by field of a hub's answer; `me` is the recipient.
export function receive(me, answer) {
  const coreBytes = unb64u(answer.core, { most: CORE_BYTES })
  const sealed = unb64u(answer.sealed, { most: SEALED_BYTES })
  const manifest = readManifest(me.directory, answer.manifest, me.now)
  const core = grantIn(manifest, coreBytes, sealed)
  if (me.directory.rootAt(core.dir.size) !== core.dir.root) throw new Refused('LOG_FORK')
  checkCore(core, me)
  const given = answer.consent === null ? null : readConsent(me.directory, answer.consent, me.now)
  checkConsent(me, core, given)
  const part = listedParts(core, answer.parts)
  const key = me.keys.find((one) => one.public.kid === core.rcp_kid)
  const plain = openGrant(coreBytes, sealed, key, part)
  const values = Object.fromEntries(Object.entries(plain).map(([name, bytes]) => [name, openPlaintext(name, bytes)]))
  checkKind(core.kind, core.parts.map((ref) => ref.f).filter((name) => bucketOf(name) === null || name in values))
  return values
}

// Whether a sender may go on from a head that a hub shows.
export function checkHead(directory, { agency, now }, head, recipient) {
  const names = ['core', 'digest', 'manifest', 'sealed', 'seq']
  if (!isObject(head) || Object.keys(head).sort().join() !== names.join()) throw malformed('head')
  if (head.seq === 0 && head.core === null) return
  const coreBytes = unb64u(head.core, { most: CORE_BYTES })
  const sealed = unb64u(head.sealed, { most: SEALED_BYTES })
  const manifest = readManifest(directory, head.manifest, now, { once: true })
  if (manifest.snd !== agency) throw new Refused('KEY_WRONG_USE')
  const core = grantIn(manifest, coreBytes, sealed)
  const shown = [core.snd, core.rcp, core.seq, grantDigest(coreBytes, sealed)]
  if (shown.join() !== [agency, recipient, head.seq, head.digest].join()) throw new Refused('MANIFEST_MISMATCH')
}

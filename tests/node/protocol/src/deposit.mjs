// Section 12 of docs/protocol.md: what a hub checks of a deposit, in this order; the first that fails answers.

import { PATTERNS, bucketOf, catalogue, isField, pattern } from './catalogue.mjs'
import { Refused, malformed, time, unb64u } from './codec.mjs'
import { digest, padme, sealedLength } from './crypto.mjs'
import { decide } from './decision.mjs'
import { grantDigest } from './grants.mjs'
import { readSigned, verify } from './jws.mjs'
import { NO_PREVIOUS, readPayload } from './schemas.mjs'

const INLINE_BYTES = 65536
const CORE_BYTES = 16384
const SEALED_BYTES = 1136 + 64 * 32
const refuse = (code) => {
  throw new Refused(code)
}
const twice = (values) => new Set(values).size !== values.length

export class Hub {
  constructor(directory, now) {
    Object.assign(this, { directory, nowText: now, now: time(now) })
    Object.assign(this, { consents: new Map(), manifests: [], grants: new Map(), heads: new Map(), parts: new Map() })
  }

  register(jws) {
    const signed = readSigned(jws, 8192)
    const consent = readPayload('hx-consent', signed.payload)
    this.consents.set(digest(signed.payload), { consent, status: 'active' })
  }

  withdraw(jws) {
    const { family } = readPayload('hx-withdrawal', readSigned(jws, 8192).payload)
    for (const one of this.consents.values()) if (one.consent.family === family) one.status = 'withdrawn'
  }

  // True when it is taken, false when it was known.
  deposit(caller, body) {
    const signed = readSigned(body.manifest, 16384)
    const manifest = readPayload('hx-manifest', signed.payload)
    if (manifest.snd !== caller) refuse('SENDER_MISMATCH') // 1
    sizes(body) // 2
    const grants = body.grants.map(readGrant) // 3
    const inline = readParts(body.parts)
    const shared = grants.filter(({ core }) => core.rcp !== manifest.snd)
    const earlier = this.manifests.filter((one) => one.snd === manifest.snd && one.eid === manifest.eid) // 4
    if (earlier.some((one) => one.name === digest(signed.payload))) return false
    if (earlier.length > 0 && shared.length > 0 && shared.length < grants.length) refuse('REPLAY')
    this.equal(manifest, grants, shared, inline) // 5
    if (earlier.length === 0 && shared.length === grants.length) refuse('MANIFEST_MISMATCH')
    this.keys(manifest, signed, grants) // 6
    for (const { core } of grants) this.decided(core) // 7
    const before = earlier.flatMap((one) => one.shared)
    perRecipient([...before, ...shared])
    if (signed.signatures.length !== 1) refuse('SIG_INVALID') // 8
    verify(signed, 'hx-manifest', this.directory.origin, (kid) => this.directory.key(kid)?.key)
    this.chains(grants) // 9
    const named = new Map(grants.flatMap(({ core }) => core.parts.map((ref) => [ref.sha256, ref])))
    for (const [name, ref] of named) {
      const held = this.parts.get(`${manifest.eid} ${name}`)
      if (held === undefined && !inline.has(name)) refuse('PART_MISSING')
      if (held !== undefined && (held.p !== ref.p || held.f !== ref.f)) refuse('MANIFEST_MISMATCH')
    }
    if (grants.some(({ core }) => this.grants.has(core.gid))) refuse('REPLAY')
    this.keep(manifest, signed, grants, shared, named)
    return true
  }

  equal(manifest, grants, shared, inline) {
    const { origin } = this.directory
    if (manifest.origin !== origin) refuse('ORIGIN')
    if (time(manifest.iat) > this.now + 120) throw malformed('iat')
    if (grants.map((one) => one.name).sort().join() !== manifest.grants.join()) refuse('MANIFEST_MISMATCH')
    const cores = grants.map((one) => one.core)
    if (twice(cores.map((core) => core.gid)) || twice(cores.map((core) => core.rcp))) refuse('MANIFEST_MISMATCH')
    if (new Set(cores.map((core) => JSON.stringify([core.dir.size, core.dir.root]))).size !== 1) refuse('MANIFEST_MISMATCH')
    for (const { core, sealed } of grants) {
      if (core.origin !== origin) refuse('ORIGIN')
      if (core.snd !== manifest.snd) refuse('SENDER_MISMATCH')
      if (core.eid !== manifest.eid) refuse('MANIFEST_MISMATCH')
      if (time(core.iat) > this.now + 120) throw malformed('iat')
      if (time(core.exp) <= this.now) refuse('GRANT_EXPIRED')
      if (sealed.length !== 1136 + 32 * core.parts.length) throw malformed('sealed')
      if (!core.parts.every(hasItsLength)) throw malformed('len')
    }
    oneOfEach(cores.flatMap((core) => core.parts))
    perRecipient(shared)
    const refs = new Map(cores.flatMap((core) => core.parts.map((ref) => [ref.sha256, ref])))
    for (const [name, data] of inline) {
      if (!refs.has(name)) refuse('MANIFEST_MISMATCH')
      if (digest(data) !== name || data.length !== refs.get(name).len) refuse('PART_DIGEST')
    }
  }

  keys(manifest, signed, grants) {
    const at = { at: this.now, now: this.now }
    for (const { core } of grants) {
      this.party(core.rcp)
      this.directory.requireKey(core.rcp_kid, { agency: core.rcp, use: 'enc', ...at })
    }
    for (const { kid } of signed.signatures) this.directory.requireKey(kid, { agency: manifest.snd, use: 'envelope', ...at })
    const { size, root } = grants[0].core.dir
    if (size > this.directory.leaves.length || this.directory.rootAt(size) !== root) refuse('LOG_FORK')
  }

  party(agency) {
    const found = this.directory.agencies.get(agency)
    if (found === undefined || found.status !== 'active') refuse('RECIPIENT_DENIED')
    const { kind, country, public_authority } = found
    return { agency, kind, country, public_authority }
  }

  decided(core) {
    const found = this.consents.get(core.cns)
    const { code } = decide({
      side: 'hub',
      now: this.nowText,
      request: {
        origin: core.origin, kind: core.kind, sender: core.snd, recipient: core.rcp, purpose: core.pur,
        fields: core.parts.map((ref) => ref.f), thread: core.thread, subj: core.subj ?? null, cns: core.cns ?? null,
      },
      sender: this.party(core.snd),
      recipient: this.party(core.rcp),
      consent: found?.consent ?? null,
      status: found?.status ?? 'active',
      newest: null,
      confirmations: [],
      policy: null,
    })
    if (code !== null) refuse(code)
  }

  chains(grants) {
    for (const { core } of grants) {
      const head = this.heads.get(`${core.snd} ${core.rcp}`) ?? { seq: 0, name: NO_PREVIOUS }
      if (core.seq !== head.seq + 1 || core.prev !== head.name) refuse('SEQ_CONFLICT')
    }
  }

  keep({ snd, eid }, signed, grants, shared, named) {
    this.manifests.push({ snd, eid, name: digest(signed.payload), shared })
    for (const { core, name } of grants) {
      this.grants.set(core.gid, core)
      this.heads.set(`${core.snd} ${core.rcp}`, { seq: core.seq, name })
    }
    for (const [name, ref] of named) this.parts.set(`${eid} ${name}`, ref)
  }
}

function sizes({ grants, parts }) {
  const over = (text, limit) => text.length > Math.floor((limit * 4 + 2) / 3)
  if (grants.length > 65 || parts.length > 65 * 64) refuse('TOO_LARGE')
  if (grants.some((one) => over(one.core, CORE_BYTES) || over(one.sealed, SEALED_BYTES))) refuse('TOO_LARGE')
  if (parts.some((one) => over(one.ct, INLINE_BYTES))) refuse('TOO_LARGE')
}

function readGrant(item) {
  const [bytes, sealed] = [unb64u(item.core, { most: CORE_BYTES }), unb64u(item.sealed, { most: SEALED_BYTES })]
  return { core: readPayload('hx-grant', bytes), sealed, name: grantDigest(bytes, sealed) }
}

function readParts(items) {
  for (const { sha256 } of items) pattern(sha256, PATTERNS.digest)
  if (twice(items.map((one) => one.sha256))) throw malformed('parts')
  return new Map(items.map(({ sha256, ct }) => [sha256, unb64u(ct, { most: INLINE_BYTES })]))
}

function hasItsLength({ f, len }) {
  const bucket = bucketOf(f)
  if (bucket !== null) return len === sealedLength(bucket)
  const chunks = Math.floor((len - 56 - 16) / (65536 + 16))
  const padded = len - 56 - 16 * (chunks + 1)
  return padded >= 1 && sealedLength(padded) === len && padme(padded) === padded
}

function oneOfEach(refs) {
  const [ids, names] = [new Map(), new Map()]
  for (const ref of refs) {
    const whole = JSON.stringify([ref.p, ref.f, ref.len, ref.sha256])
    for (const [seen, key] of [[ids, ref.p], [names, ref.sha256]]) {
      if ((seen.get(key) ?? whole) !== whole) refuse('MANIFEST_MISMATCH')
      seen.set(key, whole)
    }
  }
}

function perRecipient(shared) {
  const own = shared.flatMap(({ core }) => core.parts.filter(({ f }) => isField(f) && catalogue.field[f].per_recipient))
  if (twice(own.map((ref) => ref.sha256))) refuse('FIELD_DENIED')
}

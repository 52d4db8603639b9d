// Section 16 of docs/protocol.md: the key directory, event by event; section 17: its tree.

import { Refused, b64u, malformed, time, unb64u } from './codec.mjs'
import { H, checkUsable, digest, join, publicKey, rootDigest } from './crypto.mjs'
import { readSigned, verify } from './jws.mjs'
import { readPayload } from './schemas.mjs'

const conflict = () => new Refused('CONFLICT')
const OPERATORS = ['suspend', 'resume', 'expel']

// The leaf of an event: members sorted, no spaces.
function leaf({ payload, signatures }) {
  const listed = signatures.map((one) => ({ protected: b64u(one.header), signature: b64u(one.signature) }))
  return new Uint8Array(Buffer.from(JSON.stringify({ payload: b64u(payload), signatures: listed })))
}

const node = (left, right) => H(join(Uint8Array.of(1), left, right))

function treeRoot(hashes) {
  if (hashes.length === 0) return H(new Uint8Array(0))
  if (hashes.length === 1) return hashes[0]
  let split = 1
  while (split * 2 < hashes.length) split *= 2
  return node(treeRoot(hashes.slice(0, split)), treeRoot(hashes.slice(split)))
}

export class Directory {
  constructor(origin, pin) {
    this.origin = origin
    this.pin = pin
    this.governance = null
    this.agreements = { version: 0, agreements: null }
    this.agencies = new Map()
    this.owners = new Map()
    this.leaves = []
  }

  copy() {
    return Object.assign(new Directory(this.origin, this.pin), {
      governance: this.governance,
      agreements: this.agreements,
      agencies: new Map([...this.agencies].map(([name, one]) => [name, { ...one, keys: new Map(one.keys) }])),
      owners: new Map(this.owners),
      leaves: [...this.leaves],
    })
  }

  rootAt(size) {
    return b64u(treeRoot(this.leaves.slice(0, size)))
  }

  key(kid) {
    const owner = this.owners.get(kid)
    return owner === undefined ? undefined : this.agencies.get(owner).keys.get(kid)
  }

  // Checks the next event and takes it; `keys` are raw bytes by kid.
  apply(jws, keys) {
    const signed = readSigned(jws, 16384)
    const event = readPayload('hx-event', signed.payload)
    const given = new Map(Object.entries(keys).map(([kid, raw]) => [kid, unb64u(raw)]))
    if (event.event === 'governance') this.governed(event, signed, given)
    else if (event.event === 'agreements') this.agreed(event, signed, given)
    else this.member(event, signed, given)
    this.leaves.push(H(join(Uint8Array.of(0), leaf(signed))))
  }

  governed(event, signed, given) {
    const first = this.governance === null
    if (first && digest(signed.payload) !== this.pin) throw new Refused('LOG_FORK')
    if (!first && time(event.iat) <= this.governance.since) throw new Refused('REPLAY')
    noKeys(given)
    const after = {
      k: event.k,
      since: time(event.iat),
      operators: new Map(event.operators.map((one) => [one.kid, publicKey('Ed25519', unb64u(one.key))])),
    }
    this.byOperators(signed, first ? after : this.governance)
    for (const [kid, key] of after.operators) {
      if (this.owners.has(kid)) throw new Refused('REPLAY')
      checkUsable('operator', key)
    }
    this.governance = after
  }

  agreed({ version, agreements }, signed, given) {
    if (this.governance === null || version !== this.agreements.version + 1) throw conflict()
    noKeys(given)
    this.byOperators(signed, this.governance)
    this.agreements = { version, agreements }
  }

  byOperators(signed, governance) {
    if (signed.signatures.some((one) => !governance.operators.has(one.kid))) throw new Refused('KID_UNKNOWN')
    const kids = verify(signed, 'hx-event', this.origin, (kid) => governance.operators.get(kid))
    if (kids.length < governance.k) throw new Refused('SENDER_MISMATCH')
  }

  member(event, signed, given) {
    if (this.governance === null) throw conflict()
    const agency = this.agencies.get(event.agency)
    if ((event.event === 'admit') === (agency !== undefined)) throw conflict()
    if (event.event === 'admit') {
      this.admit(event, signed, given)
      return
    }
    standing(event, agency)
    if (OPERATORS.includes(event.event)) {
      noKeys(given)
      this.byOperators(signed, this.governance)
      agency.status = { suspend: 'suspended', resume: 'active', expel: 'expelled' }[event.event]
      agency.since = time(event.iat)
    } else if (event.event === 'root-set') this.rootSet(event, signed, given, agency)
    else if (event.event === 'key') this.addKey(event, signed, given, agency)
    else this.endKey(event, signed, given, agency)
  }

  admit(event, signed, given) {
    noKeys(given)
    this.byOperators(signed, this.governance)
    const { name, kind, country, public_authority, root } = event
    this.agencies.set(event.agency, {
      name, kind, country, public_authority, root, status: 'active', since: time(event.iat), keys: new Map(),
    })
  }

  rootSet(event, signed, given, agency) {
    const ed = publicKey('Ed25519', unb64u(event.ed25519))
    const ml = newKey('ML-DSA-65', event.mldsa65, given, [ed])
    const old = rootsOf(agency)
    const wanted = new Map([...[ed, ml].map((key) => [key.kid, key]), ...old.map((one) => [one.key.kid, one.key])])
    if (signed.signatures.some((one) => !wanted.has(one.kid))) throw new Refused('KID_UNKNOWN')
    const kids = verify(signed, 'hx-event', this.origin, (kid) => wanted.get(kid))
    if (kids.length !== wanted.size) throw new Refused('SENDER_MISMATCH')
    for (const key of [ed, ml]) this.checkNew('root', key)
    const root = rootDigest(ed.raw, ml.raw)
    if (old.length === 0 && root !== agency.root) throw new Refused('MANIFEST_MISMATCH')
    for (const one of old) agency.keys.set(one.key.kid, { ...one, status: 'revoked' })
    for (const key of [ed, ml]) this.keep(event.agency, { use: 'root', key, status: 'active' })
    agency.root = root
  }

  addKey(event, signed, given, agency) {
    const key = newKey(event.alg, event.kid, given, [])
    this.byMember(event, signed, agency, event.use)
    this.checkNew(event.use, key)
    const holder = event.holder
    if (event.use === 'approver' && holder === undefined) throw malformed('holder')
    if (holder !== undefined && !/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/.test(holder)) throw malformed('holder')
    const times = { nbf: time(event.nbf), exp: time(event.exp) }
    this.keep(event.agency, { use: event.use, key, status: 'active', holder, ...times })
  }

  endKey(event, signed, given, agency) {
    noKeys(given)
    const found = agency.keys.get(event.kid)
    if (found === undefined) throw new Refused('KID_UNKNOWN')
    if (found.use === 'root') throw new Refused('KEY_WRONG_USE')
    this.byMember(event, signed, agency, found.use)
    if (event.event === 'revoke') {
      if (found.status === 'revoked') throw conflict()
      agency.keys.set(event.kid, { ...found, status: 'revoked' })
      return
    }
    if (found.status !== 'active' || time(event.until) > found.exp) throw conflict()
    agency.keys.set(event.kid, { ...found, status: 'draining', until: time(event.until) })
  }

  // Who signs key, drain and revoke events.
  byMember(event, signed, agency, use) {
    const signers = signed.signatures.map((one) => {
      const found = agency.keys.get(one.kid)
      if (found === undefined) throw new Refused('KID_UNKNOWN')
      if (found.status === 'revoked') throw new Refused('KEY_REVOKED')
      return found
    })
    const byRoot = signers.every((one) => one.use === 'root')
    if (!byRoot) signers.forEach((one) => checkApprover(one, event, agency, use))
    const kids = verify(signed, 'hx-event', this.origin, (kid) => agency.keys.get(kid).key)
    if (byRoot && rootsOf(agency).some((one) => !kids.includes(one.key.kid))) throw new Refused('SENDER_MISMATCH')
  }

  checkNew(use, key) {
    if (this.owners.has(key.kid) || this.governance.operators.has(key.kid)) throw new Refused('REPLAY')
    checkUsable(use, key)
  }

  keep(agency, item) {
    this.agencies.get(agency).keys.set(item.key.kid, item)
    this.owners.set(item.key.kid, agency)
  }

  // Section 5, (a) to (g): the key of an object of `agency`, made for `use` at `at`; `once`: of a withdrawal or a head.
  requireKey(kid, { agency, use, at, now, once = false }) {
    const owner = this.owners.get(kid)
    if (owner === undefined) throw new Refused('KID_UNKNOWN')
    if (owner !== agency) throw new Refused('KEY_WRONG_USE')
    const { status, keys } = this.agencies.get(owner)
    const found = keys.get(kid)
    if (found.use !== use) throw new Refused('KEY_WRONG_USE')
    if (found.status === 'revoked' && !once) throw new Refused('KEY_REVOKED')
    const when = Math.min(at, now)
    const drained = found.until !== undefined && found.until <= now
    const outside = !(found.nbf <= when && when < found.exp)
    if (outside || (!once && (status !== 'active' || drained))) throw new Refused('KEY_NOT_ACTIVE')
    return found
  }

  // The keys of a signed object that `agency` made for `use` at `at`.
  signers(signed, typ, about) {
    const kids = verify(signed, typ, this.origin, (kid) => this.key(kid)?.key)
    return kids.map((kid) => this.requireKey(kid, about))
  }
}

function standing(event, agency) {
  const name = event.event
  if (agency.status === 'expelled') throw conflict()
  const suspended = agency.status === 'suspended'
  if (suspended && !['resume', 'expel', 'revoke'].includes(name)) throw conflict()
  if (!suspended && name === 'resume') throw conflict()
  if (OPERATORS.includes(name) && time(event.iat) <= agency.since) throw new Refused('REPLAY')
}

function checkApprover(signer, event, agency, use) {
  if (signer.use !== 'approver' || use === 'approver') throw new Refused('KEY_WRONG_USE')
  if (agency.status !== 'active' || signer.status !== 'active') throw new Refused('KEY_NOT_ACTIVE')
  const at = time(event.iat)
  if (!(signer.nbf <= at && at < signer.exp)) throw new Refused('KEY_NOT_ACTIVE')
}

const rootsOf = (agency) => [...agency.keys.values()].filter((one) => one.use === 'root' && one.status === 'active')

function noKeys(given) {
  if (given.size > 0) throw malformed('the event names no new key')
}

function newKey(alg, kid, given, also) {
  const raw = given.get(kid)
  if (raw === undefined) throw new Refused('PART_MISSING')
  const key = publicKey(alg, raw)
  const rest = [...given].filter(([name]) => name !== kid)
  const known = ([name, bytes]) => also.some((one) => one.kid === name && b64u(one.raw) === b64u(bytes))
  if (key.kid !== kid || !rest.every(known)) throw malformed('not the keys that the event names')
  return key
}

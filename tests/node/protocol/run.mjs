// Runs the recorded cases of schemas/vectors (`--from FOLDER`; names of files) and prints what became of each:
// {found: {file: {list: {name: {error, result}}}}}. Recorded errors and results are not looked at here;
// tests/vectors/test_second_implementation.py compares.

import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

import { checkKind, openPlaintext } from './src/catalogue.mjs'
import { Refused, b64u, decodeValue, time, unb64u } from './src/codec.mjs'
import { EncKey, digest, join, pad, padme, partContext, publicKey, rootDigest } from './src/crypto.mjs'
import { decide } from './src/decision.mjs'
import { Hub } from './src/deposit.mjs'
import { Directory } from './src/directory.mjs'
import { Following } from './src/following.mjs'
import { grantDigest, openAttachment, openGrant } from './src/grants.mjs'
import { readSigned, verify } from './src/jws.mjs'
import { parseVkey, verifyEntry } from './src/logs.mjs'
import { checkHead, receive } from './src/recipient.mjs'
import { limitOf, readPayload, readTombstone } from './src/schemas.mjs'
import { publicOf, seed } from './src/seeds.mjs'

const given = process.argv.slice(2)
const from = given[0] === '--from' ? pathToFileURL(`${given.splice(0, 2)[1]}/`) : new URL('../../../schemas/vectors/', import.meta.url)
const load = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, from), 'utf8'))
const bytes = (text) => (text === '' ? new Uint8Array(0) : unb64u(text))
const utf8 = (value) => new Uint8Array(Buffer.from(JSON.stringify(value)))

function outcomes(cases, run) {
  const found = {}
  for (const item of cases) {
    try {
      found[item.name] = { error: null, result: run(item) ?? null }
    } catch (error) {
      if (!(error instanceof Refused)) throw new Error(`${item.name}: ${error.stack}`)
      found[item.name] = { error: error.code, result: null }
    }
  }
  return found
}

// One recorded change of a JSON value (schemas/README.md, "Vectors").
function bend(value, change, path = change.at) {
  if (path.length === 0) {
    if ('repeat' in change) return typeof value === 'string' ? value.repeat(change.repeat) : Array(change.repeat).fill(value).flat()
    if ('merge' in change) {
      return Object.fromEntries(Object.entries({ ...value, ...change.merge }).filter(([, item]) => item !== null))
    }
    return change.set
  }
  const [here, ...rest] = path
  if (rest.length === 0 && change.drop) return Object.fromEntries(Object.entries(value).filter(([name]) => name !== here))
  const copy = Array.isArray(value) ? [...value] : { ...value }
  copy[here] = bend(copy[here], change, rest)
  return copy
}

const RUNS = {
  codec: (file) => ({
    json: outcomes(file.json, (item) => void decodeValue(bytes(item.bytes), file.limit)),
    base64url: outcomes(file.base64url, (item) => void unb64u(item.text)),
    times: outcomes(file.times, (item) => void time(item.text)),
  }),
  keys: (file) => ({
    keys: outcomes(file.keys, (item) => {
      const key = publicOf(item.alg, item.name)
      return { kid: key.kid, raw_sha256: digest(key.raw) }
    }),
    contexts: outcomes(file.contexts, (item) => ({ ctx: b64u(partContext({ ...item, p: item.part_id })) })),
    padding: outcomes(file.padding, (item) => ({
      padded_sha256: digest(pad(bytes(item.value), item.bucket)),
    })),
    whole: {
      root_digest: rootDigest(publicOf('Ed25519', 'root ed25519').raw, publicOf('ML-DSA-65', 'root mldsa65').raw),
      padme: file.padme.map(([size]) => [size, padme(size)]),
    },
  }),
  signed: (file) => {
    const keys = file.keys.map((item) => publicKey(item.alg, unb64u(item.key)))
    const keyFor = (kid) => keys.find((key) => key.kid === kid)
    return {
      cases: outcomes(file.cases, (item) => void verify(readSigned(item.jws, 16384), file.typ, file.origin, keyFor)),
    }
  },
  payloads: (file) => ({
    cases: outcomes(file.cases, (item) => {
      const { typ, value } = file.examples[item.of]
      const data = utf8(item.changes.reduce((bent, change) => bend(bent, change), value))
      void (typ === 'tombstone' ? readTombstone(data) : readPayload(typ, data))
    }),
  }),
  values: (file) => ({
    cases: outcomes(file.cases, (item) => {
      openPlaintext(item.field, utf8({ v: bend(file.examples[item.field], item.change) }))
    }),
    plaintexts: outcomes(file.plaintexts, (item) => void openPlaintext(item.field, unb64u(item.plaintext))),
    kinds: outcomes(file.kinds, (item) => {
      checkKind(item.kind, item.fields)
      for (const name of item.foreign ?? []) {
        const [{ error }] = Object.values(outcomes([{ name }], () => checkKind(item.kind, [...item.fields, name])))
        if (error !== 'FIELD_DENIED') throw new Error(`${item.kind} with ${name}`)
      }
    }),
  }),
  grants: (file) => {
    const key = new EncKey(seed(file.recipient))
    return {
      cases: outcomes(file.cases, (item) => {
        const [core, sealed] = [unb64u(item.core), unb64u(item.sealed)]
        const part = (ref) => {
          if (!(ref.sha256 in item.parts)) throw new Refused('PART_MISSING')
          return unb64u(item.parts[ref.sha256])
        }
        const fields = openGrant(core, sealed, key, part)
        return {
          digest: grantDigest(core, sealed),
          fields: Object.fromEntries(Object.entries(fields).map(([name, bytes]) => [name, b64u(bytes)])),
        }
      }),
    }
  },
  decisions: (file) => ({
    cases: Object.fromEntries(
      file.cases.map((item) => {
        const { code, tag } = decide(item.facts)
        return [item.name, { error: code, result: { rule: tag } }]
      }),
    ),
  }),
  directory: (file) => {
    const story = storyOf(file)
    const state = [...story.agencies].map(([name, one]) => [
      name,
      {
        status: one.status,
        root: one.root,
        keys: Object.fromEntries([...one.keys].map(([kid, item]) => [kid, [item.use, item.status]])),
      },
    ])
    return {
      cases: outcomes(file.cases, (item) => {
        const directory = after(story, item.before)
        directory.apply(item.next.event, item.next.keys)
      }),
      starts: outcomes(file.starts, (item) => {
        new Directory(file.origin, file.pin).apply(item.next.event, item.next.keys)
      }),
      whole: { roots: story.leaves.map((_, at) => story.rootAt(at + 1)), state: Object.fromEntries(state) },
    }
  },
  receipts: (file) => {
    const pinned = [parseVkey(file.vkey)]
    return { cases: outcomes(file.cases, (item) => void verifyEntry(unb64u(item.entry), item.proof, pinned)) }
  },
  objects: (file) => {
    const story = storyOf(load('directory'))
    return {
      cases: outcomes(file.cases, (item) => {
        const signed = readSigned(item.jws, limitOf(item.typ))
        const payload = readPayload(item.typ, signed.payload)
        const [agency, use] = item.typ === 'hx-withdrawal' ? [payload.iss, 'approver'] : [payload.rcp, 'envelope']
        const once = item.typ === 'hx-withdrawal'
        const about = { agency, use, at: time(payload.iat), now: time(item.now), once }
        after(story, item.before).signers(signed, item.typ, about)
      }),
      heads: outcomes(file.heads, (item) => {
        checkHead(story, { agency: file.agency, now: time(file.now) }, item.head, item.recipient)
      }),
    }
  },
  attachments: (file) => {
    const key = seed(file.key)
    return {
      cases: outcomes(file.cases, (item) => {
        let data = unb64u(file.sealed[item.of])
        if (item.slices !== null) data = join(...item.slices.map(([start, end]) => data.slice(start, end)))
        if (item.flip !== null) data = data.map((byte, at) => (at === item.flip ? byte ^ 1 : byte))
        return { plain: digest(openAttachment({ ...file.context, ...item.context }, item.ref, key, data)) }
      }),
    }
  },
  pages: (file) => {
    const { story } = load('directory')
    return {
      cases: outcomes(file.cases, (item) => {
        const copy = new Following(file.origin, file.pin, [parseVkey(file.vkey)])
        for (const page of item.pages) {
          const events = page.events.map(({ index, story: at }) => ({ index, ...story[at] }))
          copy.take({ ...page, events })
        }
        const directory = copy.current()
        return { size: directory.leaves.length, root: directory.rootAt(directory.leaves.length) }
      }),
    }
  },
  envelopes: (file) => {
    const directory = storyOf(load('directory'))
    const keys = [new EncKey(seed(file.enc))]
    return {
      cases: outcomes(file.cases, (item) => {
        const { gid, withdrawn, now } = item
        const me = { directory, keys, agency: file.agency, gid, withdrawn, now: time(now), nowText: now }
        return { values: receive(me, item.answer) }
      }),
    }
  },
  deposits: (file) => {
    const directory = storyOf(load('directory'))
    const hub = () => {
      const made = new Hub(directory, file.now)
      file.consents.forEach((jws) => made.register(jws))
      file.withdrawals.forEach(({ jws }) => made.withdraw(jws))
      file.before.forEach(({ caller, body }) => made.deposit(caller, body))
      return made
    }
    return {
      cases: outcomes(file.cases, (item) => {
        const body = item.changes.reduce((bent, change) => bend(bent, change), item.body)
        return { taken: hub().deposit(item.caller, body) }
      }),
    }
  },
}

function storyOf(file) {
  const directory = new Directory(file.origin, file.pin)
  for (const { event, keys } of file.story) directory.apply(event, keys)
  return directory
}

function after(story, events) {
  const directory = story.copy()
  for (const { event, keys } of events) directory.apply(event, keys)
  return directory
}

const names = given.length > 0 ? given : Object.keys(RUNS)
const found = Object.fromEntries(names.map((name) => [name, RUNS[name](load(name))]))
process.stdout.write(JSON.stringify({ found }))

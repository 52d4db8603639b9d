// Section 17 of docs/protocol.md: notes, checkpoints, proofs of inclusion.

import { Refused } from './codec.mjs'
import { H, join, verifyEd25519 } from './crypto.mjs'

const DASH = '\u2014 '
const MAX_SIZE = 2n ** 63n
const bad = (what) => new Refused('CHECKPOINT_INVALID', what)
const unproved = (what) => new Refused('PROOF_INVALID', what)
const utf8 = (text) => new Uint8Array(Buffer.from(text))
const hex = (bytes) => Buffer.from(bytes).toString('hex')

function base64(text) {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? new Uint8Array(bytes) : null
}

function count(text) {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text) || BigInt(text) >= MAX_SIZE) return null
  return BigInt(text)
}

const isName = (name) => name !== '' && !/[+\s]/.test(name)
const keyId = (name, key) => H(join(utf8(`${name}\n`), Uint8Array.of(1), key)).slice(0, 4)

export function parseVkey(text) {
  const [name, id, ...rest] = text.split('+')
  const data = base64(rest.join('+'))
  if (!isName(name) || data === null || data.length !== 33 || data[0] !== 1) throw new Error('not a verifier key')
  const key = data.slice(1)
  if (id !== hex(keyId(name, key))) throw new Error('not the id of its key')
  return { name, id, key }
}

function signatureLine(line) {
  const [name, encoded, ...rest] = line.slice(DASH.length).split(' ')
  const data = encoded === undefined ? null : base64(encoded)
  if (!line.startsWith(DASH) || !isName(name) || rest.length > 0 || data === null || data.length <= 4) {
    throw bad('not a signature line')
  }
  return { name, id: hex(data.slice(0, 4)), signature: data.slice(4) }
}

// The text of a note, and the names of the pinned keys that signed it.
function openNote(note, pinned) {
  const divide = note.lastIndexOf('\n\n')
  if (note.length > 2 ** 20 || /[\u0000-\u0009\u000b-\u001f]/.test(note)) throw bad('a character, or too long')
  if (divide === -1 || !note.endsWith('\n')) throw bad('no empty line, or no end')
  const text = note.slice(0, divide + 1)
  const lines = note.slice(divide + 2, -1).split('\n')
  if (lines.length > 64) throw bad('too many lines')
  const names = []
  for (const { name, id, signature } of lines.map(signatureLine)) {
    const key = pinned.find((one) => one.name === name && one.id === id)
    if (key === undefined) continue
    if (signature.length !== 64 || !verifyEd25519(key.key, utf8(text), signature)) throw bad('a bad signature')
    names.push(name)
  }
  if (names.length === 0) throw bad('no pinned key signed it')
  return { text, names }
}

export function openCheckpoint(note, pinned) {
  const { text, names } = openNote(note, pinned)
  const lines = text.split('\n')
  if (lines.length !== 4 || lines[3] !== '') throw bad('not three lines')
  const [origin, size, root] = [lines[0], count(lines[1]), base64(lines[2])]
  if (size === null || root === null || root.length !== 32) throw bad('size or root')
  if (!names.includes(origin)) throw bad('of another log')
  return { size, root }
}

function parseProof(text) {
  const divide = text.indexOf('\n\n')
  const lines = text.slice(0, divide).split('\n')
  if (divide === -1 || lines.shift() !== 'c2sp.org/tlog-proof@v1') throw unproved('no header or no note')
  if (lines[0]?.startsWith('extra ') && base64(lines.shift().slice(6)) === null) throw unproved('extra')
  const index = lines[0]?.startsWith('index ') ? count(lines.shift().slice(6)) : null
  const hashes = lines.map(base64)
  const fit = hashes.length <= 63 && hashes.every((hash) => hash !== null && hash.length === 32)
  if (index === null || !fit) throw unproved('index or hashes')
  return { index, hashes, note: text.slice(divide + 2) }
}

// RFC 9162 section 2.1.3.2.
function rootFrom(index, size, leaf, hashes) {
  if (index >= size) throw unproved('the index is not in the tree')
  let [fn, sn, r] = [index, size - 1n, leaf]
  for (const p of hashes) {
    if (sn === 0n) throw unproved('a hash too many')
    if ((fn & 1n) === 1n || fn === sn) {
      r = H(join(Uint8Array.of(1), p, r))
      while ((fn & 1n) === 0n && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n]
    } else {
      r = H(join(Uint8Array.of(1), r, p))
    }
    ;[fn, sn] = [fn >> 1n, sn >> 1n]
  }
  if (sn !== 0n) throw unproved('a hash is missing')
  return r
}

export function verifyEntry(entry, text, pinned) {
  const { index, hashes, note } = parseProof(text)
  const { size, root } = openCheckpoint(note, pinned)
  const found = rootFrom(index, size, H(join(Uint8Array.of(0), entry)), hashes)
  if (hex(found) !== hex(root)) throw unproved('another root')
}

// RFC 9162 section 2.1.4.2, for 0 < first < second.
export function consistent(first, second, path, firstRoot, secondRoot) {
  const hashes = [...path]
  if (hashes.length === 0) return false
  if ((first & (first - 1n)) === 0n) hashes.unshift(firstRoot)
  let [fn, sn] = [first - 1n, second - 1n]
  while ((fn & 1n) === 1n) [fn, sn] = [fn >> 1n, sn >> 1n]
  let [fr, sr] = [hashes[0], hashes[0]]
  for (const c of hashes.slice(1)) {
    if (sn === 0n) return false
    if ((fn & 1n) === 1n || fn === sn) {
      fr = H(join(Uint8Array.of(1), c, fr))
      sr = H(join(Uint8Array.of(1), c, sr))
      while ((fn & 1n) === 0n && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n]
    } else {
      sr = H(join(Uint8Array.of(1), sr, c))
    }
    ;[fn, sn] = [fn >> 1n, sn >> 1n]
  }
  return hex(fr) === hex(firstRoot) && hex(sr) === hex(secondRoot) && sn === 0n
}

// Section 2 of docs/protocol.md: strict JSON, base64url, times, text. Nothing is repaired.

export class Refused extends Error {
  constructor(code, message = code) {
    super(message)
    this.code = code
  }
}

export const malformed = (message) => new Refused('MALFORMED', message)

const SPACE = new Set([' ', '\t', '\n', '\r'])
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

class Parser {
  constructor(text, depth) {
    this.text = text
    this.at = 0
    this.depth = depth
  }

  space() {
    while (SPACE.has(this.text[this.at])) this.at += 1
  }

  expect(char) {
    if (this.text[this.at] !== char) throw malformed(`JSON: ${char} is needed`)
    this.at += 1
  }

  word(word, value) {
    if (!this.text.startsWith(word, this.at)) throw malformed('JSON: not a value')
    this.at += word.length
    return value
  }

  value(level) {
    this.space()
    const char = this.text[this.at]
    if (char === '{' || char === '[') {
      if (level === this.depth) throw malformed('JSON: nested too deep')
      return char === '{' ? this.object(level + 1) : this.array(level + 1)
    }
    if (char === '"') return this.string()
    if (char === 't') return this.word('true', true)
    if (char === 'f') return this.word('false', false)
    if (char === 'n') return this.word('null', null)
    return this.number()
  }

  items(close, one) {
    this.at += 1
    this.space()
    if (this.text[this.at] === close) {
      this.at += 1
      return
    }
    for (;;) {
      one()
      this.space()
      if (this.text[this.at] === close) {
        this.at += 1
        return
      }
      this.expect(',')
    }
  }

  object(level) {
    const members = Object.create(null)
    this.items('}', () => {
      this.space()
      const name = this.string()
      if (name in members) throw malformed('JSON: a member name appears twice')
      this.space()
      this.expect(':')
      members[name] = this.value(level)
    })
    return members
  }

  array(level) {
    const list = []
    this.items(']', () => list.push(this.value(level)))
    return list
  }

  number() {
    NUMBER.lastIndex = this.at
    const match = NUMBER.exec(this.text)
    if (match === null || match[1] !== undefined || match[2] !== undefined) throw malformed('JSON: not a whole number')
    this.at = NUMBER.lastIndex
    const number = Number(match[0])
    if (match[0] === '-0' || !Number.isSafeInteger(number)) throw malformed('JSON: a number is out of range')
    return number
  }

  string() {
    this.expect('"')
    let text = ''
    for (;;) {
      const char = this.text[this.at]
      if (char === undefined || char < ' ') throw malformed('JSON: a text does not end')
      this.at += 1
      if (char === '"') break
      text += char === '\\' ? this.escape() : char
    }
    if (text.includes('\0') || LONE.test(text)) throw malformed('JSON: a NUL or half a surrogate pair')
    return text
  }

  escape() {
    const char = this.text[this.at]
    this.at += 1
    if (char === 'u') {
      const digits = this.text.slice(this.at, this.at + 4)
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw malformed('JSON: a bad escape')
      this.at += 4
      return String.fromCharCode(Number.parseInt(digits, 16))
    }
    if (!Object.hasOwn(ESCAPES, char ?? '')) throw malformed('JSON: a bad escape')
    return ESCAPES[char]
  }
}

export function decodeValue(bytes, limit, depth = 8) {
  if (bytes.length > limit) throw malformed('JSON: too long')
  let text
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw malformed('JSON: not UTF-8')
  }
  const parser = new Parser(text, depth)
  const value = parser.value(0)
  parser.space()
  if (parser.at !== text.length) throw malformed('JSON: more than one value')
  return value
}

export function decode(bytes, limit, depth = 8) {
  const value = decodeValue(bytes, limit, depth)
  if (!isObject(value)) throw malformed('JSON: an object is needed')
  return value
}

export const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)

export const b64u = (bytes) => Buffer.from(bytes).toString('base64url')

export function unb64u(text, { length, most } = {}) {
  if (typeof text !== 'string' || text === '') throw malformed('base64url: a text is needed')
  const bytes = new Uint8Array(Buffer.from(text, 'base64url'))
  if (b64u(bytes) !== text) throw malformed('base64url: not canonical')
  if (length !== undefined && bytes.length !== length) throw malformed('base64url: another length')
  if (most !== undefined && bytes.length > most) throw malformed('base64url: too long')
  return bytes
}

const TIME = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z$/

export function isDate(year, month, day) {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
  return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1]
}

// Seconds since 1970 of a time.
export function time(text) {
  const match = typeof text === 'string' ? TIME.exec(text) : null
  if (match === null) throw malformed('a time is needed')
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number)
  if (!isDate(year, month, day) || hour > 23 || minute > 59 || second > 59) throw malformed('a real time is needed')
  return Date.parse(text) / 1000
}

const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]/u

export function text(value, chars, octets = 4 * chars) {
  if (typeof value !== 'string') throw malformed('a text is needed')
  const points = [...value].length
  if (points < 1 || points > chars) throw malformed('text: too long or empty')
  if (FORBIDDEN.test(value)) throw malformed('text: a forbidden character')
  const bytes = Buffer.byteLength(value) + (value.match(/["\\]/g) ?? []).length
  if (bytes > octets) throw malformed('text: too many bytes')
  if (/^\p{White_Space}*$/u.test(value)) throw malformed('text: white space only')
  if (value.normalize('NFC') !== value) throw malformed('text: not in normal form C')
  return value
}

export const compare = (left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right))

// Section 6 of docs/protocol.md: the catalogue's types as checks of values, and the names that a kind may carry.

import { parse } from 'smol-toml'
import { readFileSync } from 'node:fs'

import { Refused, compare, decode, isDate, isObject, malformed, text } from './codec.mjs'

const FILE = new URL('../../../../schemas/exchange_schemas/catalogue.toml', import.meta.url)
export const catalogue = parse(readFileSync(FILE, 'utf8'))
export const VERSION = catalogue.version

export const PATTERNS = {
  id: /^[A-Za-z0-9_-]{21}[AQgw]$/,
  digest: /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/,
  agency: /^[a-z][a-z0-9-]{2,39}$/,
  country: /^[A-Z]{2}$/,
  script: /^[A-Z][a-z]{3}$/,
  language: /^[a-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3})){0,2}$/,
}
const PHONE = /^\+[1-9][0-9]{6,14}$/
const LOCAL = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const DOMAIN = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$/
const DATE = /^([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?$/

export function pattern(value, regexp) {
  if (typeof value !== 'string' || !regexp.test(value)) throw malformed('another form is needed')
  return value
}

function contact(value) {
  if (typeof value === 'string' && PHONE.test(value)) return
  const at = typeof value === 'string' ? value.split('@') : []
  const fits = at.length === 2 && value.length >= 6 && value.length <= 254 && at[0].length <= 64
  if (!fits || !LOCAL.test(at[0]) || !DOMAIN.test(at[1])) throw malformed('a contact is needed')
}

function date(value, partial) {
  const match = typeof value === 'string' ? DATE.exec(value) : null
  const [year, month = '01', day = '01'] = match === null ? ['0'] : match.slice(1)
  const whole = match !== null && match[3] !== undefined
  if (match === null || !isDate(Number(year), Number(month), Number(day)) || !(partial || whole)) {
    throw malformed('a real date is needed')
  }
}

function integer(value, least, most) {
  if (!Number.isInteger(value) || value < least || value > most) throw malformed('a number in its range is needed')
}

function list(value, least, most) {
  if (!Array.isArray(value) || value.length < least || value.length > most) throw malformed('a list is needed')
}

function different(items) {
  if (new Set(items.map((item) => JSON.stringify(item))).size !== items.length) throw malformed('an item twice')
}

const oneOf = (value, codes) => {
  if (typeof value !== 'string' || !codes.includes(value)) throw malformed('not a code of its list')
}

const CHECKS = {
  text: (value, type) => text(value, type.chars, type.octets),
  code: (value, type) => oneOf(value, catalogue.codes[type.list]),
  codes: (value, type) => {
    list(value, 1, type.most)
    for (const item of value) oneOf(item, catalogue.codes[type.list])
    different(value)
    if (value.length > 1 && value.some((item) => (type.alone ?? []).includes(item))) throw malformed('not alone')
  },
  integer: (value, type) => integer(value, type.least, type.most),
  partial_date: (value) => date(value, true),
  date: (value) => date(value, false),
  contact,
  field: (value) => oneOf(value, Object.keys(catalogue.field)),
  list: (value, type) => {
    list(value, type.least ?? 1, type.most)
    for (const item of value) checkValue(item, type.item)
    if (type.unique !== undefined) {
      different(value.map((item) => (type.unique.length === 0 ? item : type.unique.map((name) => item[name]))))
    }
  },
  object: checkObject,
}

function checkObject(value, type) {
  if (!isObject(value)) throw malformed('an object is needed')
  const members = Object.entries(type.member)
  for (const [name, member] of members) {
    if (name in value) checkValue(value[name], member)
    else if (member.optional !== true) throw malformed('a member is missing')
  }
  if (Object.keys(value).some((name) => !Object.hasOwn(type.member, name))) throw malformed('an unknown member')
  for (const [low, high] of type.ordered ?? []) {
    const bad = typeof value[low] === 'number' ? value[low] > value[high] : compare(value[low], value[high]) > 0
    if (bad) throw malformed('members out of order')
  }
  if (type.any_of !== undefined && !type.any_of.some((name) => name in value)) throw malformed('nothing of what is needed')
  if (type.when !== undefined) {
    const applies = value[type.when.member] === type.when.is
    if (type.when.needs.some((name) => name in value !== applies)) throw malformed('members that need one another')
  }
}

export function checkValue(value, type) {
  if (Object.hasOwn(PATTERNS, type.kind)) pattern(value, PATTERNS[type.kind])
  else if (Object.hasOwn(CHECKS, type.kind)) CHECKS[type.kind](value, type)
  else checkValue(value, catalogue.type[type.kind])
}

const specOf = (name) => {
  if (Object.hasOwn(catalogue.field, name)) return catalogue.field[name]
  return Object.hasOwn(catalogue.message, name) ? catalogue.message[name] : undefined
}

export const isField = (name) => Object.hasOwn(catalogue.field, name)
export const isName = (name) => specOf(name) !== undefined

// Padded size in bytes; null for an attachment.
export const bucketOf = (name) => (specOf(name).bucket === 0 ? null : specOf(name).bucket)

export function openPlaintext(name, bytes) {
  const spec = specOf(name)
  if (spec === undefined) throw malformed('no such field')
  const members = decode(bytes, spec.bucket - 1)
  if (Object.keys(members).join() !== 'v') throw malformed('the plaintext is not one value')
  checkValue(members.v, spec.type)
  return members.v
}

export function checkKind(name, fields) {
  if (!Object.hasOwn(catalogue.kind, name)) throw malformed('no such kind')
  const kind = catalogue.kind[name]
  const needs = kind.needs.map((need) => need.split(' | ').map((group) => group.split(' + ')))
  const allowed = new Set([...kind.may, ...needs.flat(2)])
  const any = kind.records === 'any' || kind.records === 'some'
  for (const field of fields) {
    if (!allowed.has(field) && !(any && isField(field))) throw new Refused('FIELD_DENIED', `${name} may not carry ${field}`)
  }
  for (const need of needs) {
    if (!need.some((group) => group.every((field) => fields.includes(field)))) throw new Refused('FIELD_DENIED', 'a need')
  }
  if (kind.records === 'some' && !fields.some(isField)) throw new Refused('FIELD_DENIED', 'no field of a record')
}

// Section 16 of docs/protocol.md, "Following it": the directory page by page.

import { Refused, b64u, isObject, malformed, unb64u } from './codec.mjs'
import { Directory } from './directory.mjs'
import { consistent, openCheckpoint } from './logs.mjs'

const fork = () => new Refused('LOG_FORK')
const incomplete = () => new Refused('LOG_INCOMPLETE')
const NEEDED = ['checkpoint', 'consistency', 'events', 'size']

function readPage(page) {
  const names = isObject(page) ? Object.keys(page).filter((name) => name !== 'witnessed').sort() : []
  if (names.join() !== NEEDED.join() || !Number.isSafeInteger(page.size)) throw malformed('page')
  if (typeof page.checkpoint !== 'string' || !Array.isArray(page.events)) throw malformed('page')
  return { ...page, consistency: page.consistency.map((hash) => unb64u(hash, { length: 32 })) }
}

export class Following {
  constructor(origin, pin, pinned) {
    this.directory = new Directory(origin, pin)
    this.pinned = pinned
    this.newest = null
    this.seen = []
  }

  // One page, asked for after the own copy; the copy changes only when all of it is right.
  take(given) {
    const page = readPage(given)
    const head = openCheckpoint(page.checkpoint, this.pinned)
    const [size, root] = [Number(head.size), b64u(head.root)]
    if (size !== page.size) throw fork()
    if (this.newest !== null && (size < this.newest.size || (size === this.newest.size && root !== this.newest.root))) {
      throw fork()
    }
    const own = this.directory.leaves.length
    if (own === 0 || own === size) {
      if (page.consistency.length > 0) throw fork()
    } else {
      const ownRoot = unb64u(this.directory.rootAt(own))
      if (!consistent(BigInt(own), head.size, page.consistency, ownRoot, head.root)) throw fork()
    }
    const seen = [...this.seen, { size, root }]
    const next = this.directory.copy()
    for (const { index, event, keys } of page.events) {
      if (index !== next.leaves.length || index >= size) throw incomplete()
      next.apply(event, keys)
    }
    const reached = next.leaves.length
    if (seen.some((one) => one.size <= reached && next.rootAt(one.size) !== one.root)) throw fork()
    Object.assign(this, { directory: next, newest: { size, root }, seen })
  }

  // The copy to decide with.
  current() {
    if (this.newest === null || this.directory.leaves.length !== this.newest.size) throw incomplete()
    return this.directory
  }
}

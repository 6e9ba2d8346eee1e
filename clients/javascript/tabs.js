// What tabs of one origin do together: one at a time, and telling each other.

import { sleep } from './requests.js'

// Tabs are processes, and see what another one has stored only a moment later.
const SETTLE_SECONDS = 0.05

/** Runs functions one after the other, in all tabs if the browser has Web Locks, or in this one. */
export class Turns {
  #name
  #locks
  #last = Promise.resolve()

  constructor(name, isShared) {
    this.#name = name
    // Absent in Node.js, and in pages that are not a secure context.
    this.#locks = isShared ? globalThis.navigator?.locks : undefined
  }

  take(run) {
    if (this.#locks) return this.#takeLock(run)
    const turn = this.#last.then(run)
    this.#last = turn.catch(() => {})
    return turn
  }

  /** Resolves as soon as `run` does, while the other tabs wait until they see what it has stored. */
  #takeLock(run) {
    return new Promise((resolve, reject) => {
      const hold = async () => {
        try {
          resolve(await run())
        } catch (error) {
          reject(error)
        }
        await sleep(SETTLE_SECONDS)
      }
      this.#locks.request(this.#name, hold).catch(reject)
    })
  }
}

/** Calls listeners in this tab, and in the others through a BroadcastChannel. */
export class Events {
  #listeners = new Map()
  #channel

  constructor(name, isShared) {
    if (!isShared || !globalThis.BroadcastChannel) return
    this.#channel = new BroadcastChannel(name)
    this.#channel.onmessage = ({ data }) => this.#call(data)
    // Node.js would wait for messages for ever.
    this.#channel.unref?.()
  }

  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set()
    this.#listeners.set(type, listeners.add(listener))
    return () => listeners.delete(listener)
  }

  emit(event) {
    this.#call(event)
    // Never a token: every script of the origin can listen.
    this.#channel?.postMessage({ ...event, isFromThisTab: false })
  }

  close() {
    this.#channel?.close()
    this.#listeners.clear()
  }

  #call(event) {
    for (const listener of this.#listeners.get(event.type) ?? []) listener(event)
  }
}

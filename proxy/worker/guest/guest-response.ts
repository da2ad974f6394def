/** How does an exchange learn how far its guest has taken an answer that Node's server writes? */
import { ServerResponse } from 'node:http'

/** Responses of the fast path report alike. */
export interface GuestResponseListener {
  /** The guest has taken what was written. */
  drained(): void
  /** The whole answer is out. */
  finished(): void
}

/** Node's response, which knows its exchange, so that event listeners are shared and need no closure. */
export class GuestResponse extends ServerResponse {
  #listener: GuestResponseListener | undefined

  get listener(): GuestResponseListener | undefined {
    return this.#listener
  }

  set listener(listener: GuestResponseListener | undefined) {
    this.#listener = listener
    this.on('finish', finished)
    this.on('drain', drained)
    this.on('error', ignoreError)
  }
}

function finished(this: GuestResponse): void {
  this.listener?.finished()
}

function drained(this: GuestResponse): void {
  this.listener?.drained()
}

/** A write to a connection that has just gone; its close is what counts. */
function ignoreError(): void {
  // Nothing to do.
}

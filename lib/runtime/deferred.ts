/** A promise and the functions that settle it. */
export interface Deferred<Value> {
  readonly promise: Promise<Value>
  readonly resolve: (value: Value) => void
  readonly reject: (error: unknown) => void
}

/** Makes a promise that is settled from elsewhere, as `Promise.withResolvers` does on newer Node. */
export function deferred<Value>(): Deferred<Value> {
  const settle: { resolve?: (value: Value) => void; reject?: (error: unknown) => void } = {}
  const promise = new Promise<Value>((resolve, reject) => {
    settle.resolve = resolve
    settle.reject = reject
  })
  return {
    promise,
    resolve: (value) => settle.resolve?.(value),
    reject: (error) => settle.reject?.(error),
  }
}

import t from 'tap'
import { Cancellation, unlessAborted } from '../../../lib/runtime/cancellation.ts'

t.test('Cancellation aborts its signal with the first reason', async (t) => {
  const cancellation = new Cancellation()
  const { signal } = cancellation
  t.equal(cancellation.isCancelled, false)
  cancellation.cancel(new Error('first'))
  cancellation.cancel(new Error('second'))
  t.equal(cancellation.isCancelled, true)
  t.equal(signal.aborted, true)
  t.match(signal.reason, { message: 'first' })
})

t.test('Cancellation gives an aborted signal when it is read too late', async (t) => {
  const cancellation = new Cancellation()
  cancellation.cancel(new Error('early'))
  t.equal(cancellation.signal.aborted, true)
  t.match(cancellation.signal.reason, { message: 'early' })
})

t.test('unlessAborted() settles as its promise does, or leaves', async (t) => {
  const { signal } = new AbortController()
  t.equal(await unlessAborted(Promise.resolve(1), signal), 1)
  await t.rejects(unlessAborted(Promise.reject(new Error('no')), signal), { message: 'no' })
  const controller = new AbortController()
  const never = unlessAborted(new Promise(() => undefined), controller.signal)
  controller.abort(new Error('left'))
  await t.rejects(never, { message: 'left' })
  await t.rejects(unlessAborted(new Promise(() => undefined), controller.signal), {
    message: 'left',
  })
})

import t from 'tap'
import { Cancellation, unlessAborted } from '../../lib/cancellation.ts'

t.test('Cancellation tells its signal, whether it was asked for before or after', async (t) => {
  const early = new Cancellation()
  const signal = early.signal
  t.equal(signal.aborted, false)
  t.equal(early.isCancelled, false)
  early.cancel(new Error('first'))
  early.cancel(new Error('second'))
  t.equal(early.isCancelled, true)
  t.match(signal.reason, { message: 'first' })
  t.equal(early.signal, signal)
  const late = new Cancellation()
  late.cancel(new Error('first'))
  late.cancel(new Error('second'))
  t.equal(late.signal.aborted, true)
  t.match(late.signal.reason, { message: 'first' })
})

t.test('unlessAborted() settles as the promise does', async (t) => {
  const { signal } = new AbortController()
  t.equal(await unlessAborted(Promise.resolve(5), signal), 5)
  await t.rejects(unlessAborted(Promise.reject(new Error('own')), signal), { message: 'own' })
})

t.test('unlessAborted() rejects with the reason of its signal', async (t) => {
  const forever = new Promise<never>(() => undefined)
  const control = new AbortController()
  const waiting = unlessAborted(forever, control.signal)
  control.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
  await t.rejects(unlessAborted(forever, AbortSignal.abort(new Error('before'))), {
    message: 'before',
  })
})

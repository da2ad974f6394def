import t from 'tap'
import { answeringServer, askPool, okAnswer, poolOf } from '../../support/answering-server.ts'

t.test('other methods go their own way', async (t) => {
  const { url, heads } = await answeringServer(t, () => okAnswer(''))
  t.match(await askPool(poolOf(t, url), '/', 'PUT'), { status: 200 })
  t.ok(heads[0]!.startsWith('PUT / HTTP/1.1\r\n'))
})

t.test('a closed pool fails what runs and what comes', async (t) => {
  const { url, heads } = await answeringServer(t, () => undefined)
  const asked = poolOf(t, url)
  const running = askPool(asked)
  while (heads.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await asked.destroy()
  t.equal((await running).error, 'UND_ERR_SOCKET')
  t.ok((await askPool(asked)).error)
})

import t from 'tap'
import {
  answeringServer,
  askPool,
  chunkedAnswer,
  okAnswer,
  poolOf,
} from '../../support/answering-server.ts'

t.test(
  'an answer that is not plain is read by the general client, and asked for once',
  async (t) => {
    const { url, heads } = await answeringServer(t, () => chunkedAnswer)
    t.match(await askPool(poolOf(t, url)), { status: 200, body: 'ab', error: undefined })
    t.equal(heads.length, 1)
  },
)

t.test('an answer in pieces is read by the general client', async (t) => {
  const { url, heads } = await answeringServer(t, (_head, socket) => {
    const text = okAnswer('abc')
    socket.write(text.slice(0, 20))
    setImmediate(() => socket.write(text.slice(20)))
    return undefined
  })
  t.match(await askPool(poolOf(t, url)), { status: 200, body: 'abc', error: undefined })
  t.equal(heads.length, 1)
})

t.test('interim answers do not count', async (t) => {
  const { url } = await answeringServer(
    t,
    () => `HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n${okAnswer('x')}`,
  )
  t.match(await askPool(poolOf(t, url)), { status: 200, body: 'x' })
})

t.test(
  'a server that answers with chunks is asked with the general client for a while',
  async (t) => {
    const { url, sockets } = await answeringServer(t, () => chunkedAnswer)
    const asked = poolOf(t, url)
    for (let round = 0; round < 5; round += 1)
      t.match(await askPool(asked), { status: 200, body: 'ab' })
    t.ok(sockets.length <= 3, 'the one that was taken over, and those that are kept')
  },
)

t.test('what is not HTTP is an error and asked for once', async (t) => {
  const { url, heads } = await answeringServer(t, () => 'hello\r\n\r\n')
  t.ok((await askPool(poolOf(t, url))).error)
  t.equal(heads.length, 1)
})

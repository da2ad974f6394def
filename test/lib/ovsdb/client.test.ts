import t, { type Test } from 'tap'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { FakeOvsdb, type FakeOvsdbOptions, type FakeTables } from '../../support/fake-ovsdb.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { until } from '../../support/until.ts'
import { rowUuid } from '../../support/ovn-rows.ts'
import { recordingClient } from '../../support/ovsdb-recorder.ts'

function named(...names: readonly string[]): FakeTables {
  return { T: Object.fromEntries(names.map((name) => [rowUuid(name), { name, mac: ['set', []] }])) }
}

async function fakeServer(t: Test, options?: FakeOvsdbOptions): Promise<FakeOvsdb> {
  const fake = await FakeOvsdb.open(options)
  fake.setTables(named('one'))
  t.teardown(() => fake.close())
  return fake
}

type Recording = ReturnType<typeof recordingClient>

function started(t: Test, ...options: Parameters<typeof recordingClient>): Recording {
  const recording = recordingClient(...options)
  t.teardown(() => recording.client.close())
  recording.client.start()
  return recording
}

function isLive({ client }: Recording): boolean {
  return client.state.kind === 'live'
}

const clustered = { name: 'OVN_Southbound', model: 'clustered', connected: true, leader: true }
const cid = ['uuid', rowUuid('cluster')]

t.test('OvsdbClient keeps a copy in step when every byte comes alone', async (t) => {
  const fake = await fakeServer(t)
  fake.pieceBytes = 1
  const recording = started(t, { endpoints: [fake.endpoint] })
  await until(() => isLive(recording))
  t.strictSame(recording.recorder.names, ['one'])
  fake.setTables(named('one', 'two'))
  fake.setTables(named('two', 'three'))
  await until(() => recording.recorder.names.includes('three'))
  t.strictSame(recording.recorder.names, ['three', 'two'])
})

t.test('OvsdbClient applies differences of sets', async (t) => {
  const fake = await fakeServer(t)
  const recording = started(t, { endpoints: [fake.endpoint] })
  await until(() => isLive(recording))
  const steps: readonly (readonly string[])[] = [['a'], ['a', 'b'], ['b', 'c', 'd'], [], ['e']]
  for (const macs of steps) {
    const mac = macs.length === 1 ? macs[0] : ['set', macs]
    fake.setTables({ T: { [rowUuid('one')]: { name: 'one', mac } } })
    const seen = recording.recorder.updates
    await until(
      () => recording.recorder.updates > seen || recording.recorder.updates >= steps.length,
    )
    t.strictSame([...(recording.recorder.rows.get(rowUuid('one'))?.mac ?? [])].sort(), macs)
  }
})

for (const unknownMethods of [
  ['monitor_cond_since'],
  ['monitor_cond_since', 'monitor_cond'],
  ['monitor_cond_since', 'monitor_cond', 'set_db_change_aware'],
]) {
  t.test(`OvsdbClient falls back on a server without ${unknownMethods.join(', ')}`, async (t) => {
    const fake = await fakeServer(t, { unknownMethods })
    const recording = started(t, { endpoints: [fake.endpoint] })
    await until(() => isLive(recording))
    fake.setTables({ T: { [rowUuid('two')]: { name: 'two', mac: 'x' } } })
    fake.setTables({ T: { [rowUuid('two')]: { name: 'second', mac: 'x' } } })
    await until(() => recording.recorder.names[0] === 'second')
    t.strictSame(recording.recorder.names, ['second'])
    await fake.stop()
    await fake.listen()
    await until(() => recording.recorder.copies === 2)
    t.pass('copied whole again, since such a server cannot resume')
  })
}

t.test('OvsdbClient takes a server without the _Server database as it is', async (t) => {
  const fake = await fakeServer(t, { status: null })
  const recording = started(t, { endpoints: [fake.endpoint] })
  await until(() => isLive(recording))
  t.strictSame(recording.recorder.names, ['one'])
})

t.test('OvsdbClient resumes after the last transaction it knows', async (t) => {
  const fake = await fakeServer(t)
  const recording = started(t, { endpoints: [fake.endpoint] })
  await until(() => isLive(recording))
  fake.setTables(named('one', 'two'))
  await until(() => recording.recorder.names.includes('two'))
  await fake.stop()
  await until(() => !isLive(recording))
  fake.setTables(named('two', 'three'))
  fake.setTables(named('two', 'three', 'four'))
  await fake.listen()
  await until(() => isLive(recording))
  t.strictSame(recording.recorder.names, ['four', 'three', 'two'])
  t.equal(recording.recorder.copies, 1, 'nothing was copied twice')
  t.match(recording.client.state, { copy: 'resumed' })
})

t.test('OvsdbClient copies everything when the server does not know the transaction', async (t) => {
  const fake = await fakeServer(t, { forgetful: true })
  const recording = started(t, { endpoints: [fake.endpoint] })
  await until(() => isLive(recording))
  await fake.stop()
  await until(() => !isLive(recording))
  fake.setTables(named('two'))
  fake.setTables(named('three'))
  await fake.listen()
  await until(() => isLive(recording))
  t.strictSame(recording.recorder.names, ['three'])
  t.equal(recording.recorder.copies, 2)
})

t.test('OvsdbClient leaves a server that sends garbage, and comes back', async (t) => {
  const fake = await fakeServer(t)
  const recording = started(t, { endpoints: [fake.endpoint] })
  const garbage = [
    'HTTP/1.1 400 Bad Request\r\n\r\n',
    '{"method":"update3","params":[}',
    '{"method":"update3","params":["recorder","x",{"T":[]}],"id":null}',
    '{"method":"update3","params":["recorder","x",{"T":{"u":{}}}],"id":null}',
    '{"method":"update3","params":["recorder","x",{"T":{"u":{"insert":{"mac":7}}}}],"id":null}',
    '{"method":"update3","params":["recorder","x",{"T":{"u":{"modify":{"mac":["set",[1]]}}}}],"id":null}',
    '{}',
    `{"a":"${'x'.repeat(1024 * 1024)}`,
    '{"a":'.repeat(100),
  ]
  for (const text of garbage) {
    await until(() => isLive(recording) && fake.clientCount === 1)
    recording.states.length = 0
    fake.sendRaw(text)
    await until(() => recording.states.length >= 2)
    t.match(recording.states[0], { kind: 'connecting' }, text.slice(0, 60))
    await until(() => isLive(recording))
    t.strictSame(recording.recorder.names, ['one'])
  }
})

t.test('OvsdbClient copies everything again when an update could not be taken in', async (t) => {
  const fake = await fakeServer(t)
  const recording = started(t, { endpoints: [fake.endpoint] })
  await until(() => isLive(recording))
  recording.recorder.failNext = true
  fake.setTables(named('two', 'three'))
  await until(() => recording.recorder.copies === 2)
  t.strictSame(recording.recorder.names, ['three', 'two'])
})

t.test('OvsdbClient copies everything again when the server cancels the monitor', async (t) => {
  const fake = await fakeServer(t)
  const recording = started(t, { endpoints: [fake.endpoint] })
  await until(() => isLive(recording))
  fake.cancelMonitors()
  await until(() => recording.recorder.copies === 2)
  t.pass('as after a conversion of the schema')
})

t.test('OvsdbClient keeps its copy while the server lost the database', async (t) => {
  const fake = await fakeServer(t)
  const recording = started(t, { endpoints: [fake.endpoint] })
  await until(() => isLive(recording))
  fake.setStatus(undefined)
  await until(() => !isLive(recording))
  t.match(recording.client.state, { lastProblem: /no database "OVN_Southbound"/ })
  t.strictSame(recording.recorder.names, ['one'])
  fake.setStatus({ ...clustered, model: 'standalone' })
  await until(() => isLive(recording))
})

t.test('OvsdbClient follows the leader of a cluster', async (t) => {
  const [one, two] = [
    await fakeServer(t, { status: clustered }),
    await fakeServer(t, { status: { ...clustered, leader: false } }),
  ]
  const recording = started(t, { endpoints: [two.endpoint, one.endpoint] })
  await until(() => isLive(recording))
  t.match(recording.client.state, { endpoint: `unix:${one.path}` })
  one.setStatus({ ...clustered, leader: false })
  two.setStatus(clustered)
  await until(() => isLive(recording) && two.clientCount > 0 && one.clientCount === 0)
  t.match(recording.client.state, { endpoint: `unix:${two.path}` })
})

t.test('OvsdbClient takes a follower or relay where the leader is not required', async (t) => {
  const follower = await fakeServer(t, { status: { ...clustered, leader: false } })
  const recording = started(t, { endpoints: [follower.endpoint], leaderOnly: false })
  await until(() => isLive(recording))
  const relay = await fakeServer(t, { status: { ...clustered, model: 'relay', leader: false } })
  const other = started(t, { endpoints: [relay.endpoint], leaderOnly: true })
  await until(() => isLive(other))
  follower.setStatus({ ...clustered, leader: false, connected: false })
  await until(() => !isLive(recording))
  t.match(recording.client.state, { lastProblem: /lost its cluster/ })
})

t.test('OvsdbClient does not go back to a server that is behind its cluster', async (t) => {
  const ahead = await fakeServer(t, { status: { ...clustered, cid, index: 20 } })
  const behind = await fakeServer(t, { status: { ...clustered, cid, index: 19 } })
  behind.setTables(named('old'))
  const recording = started(t, { endpoints: [ahead.endpoint, behind.endpoint] })
  await until(() => isLive(recording))
  await ahead.stop()
  await until(() => behind.requests.some(({ method }) => method === 'monitor_cond'))
  await until(() =>
    recording.states.some(
      (state) => state.kind === 'connecting' && state.lastProblem.includes('behind'),
    ),
  )
  t.strictSame(recording.recorder.names, ['one'])
  behind.setStatus({ ...clustered, cid, index: 21 })
  await until(() => isLive(recording))
  t.strictSame(recording.recorder.names, ['old'])
})

t.test('OvsdbClient answers echo and gives up a silent server', async (t) => {
  const sockets: Socket[] = []
  const heard: string[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data: Buffer) => {
      heard.push(String(data))
      const reply = (text: string): void => void socket.write(text)
      for (const [, method, id] of String(data).matchAll(/"method":"(\w+)".*?"id":(\d+)/g)) {
        if (method === 'monitor_cond_since')
          reply(`{"id":${id},"error":null,"result":[false,"x",{}]}`)
        else reply(`{"id":${id},"error":{"error":"unknown method"},"result":null}`)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const tcpPort = typeof address === 'object' && address !== null ? address.port : 0
  const clock = new FakeClock()
  const recording = started(t, { endpoints: [{ kind: 'tcp', host: '127.0.0.1', tcpPort }], clock })
  await until(() => isLive(recording))

  sockets[0]?.write('{"method":"echo","params":["are","you"],"id":"there"}')
  await until(() => heard.some((text) => text.includes('"result":["are","you"]')))
  t.ok(
    heard.some((text) => text.includes('"id":"there"')),
    'the echo was answered',
  )
  const confirmed = recording.client.confirmedAt
  heard.length = 0
  await clock.advance(5_000)
  await until(() => heard.some((text) => text.includes('"method":"echo"')))
  t.equal(recording.client.confirmedAt, confirmed, 'nothing was heard in between')
  sockets[0]?.write('{"id":"echo","result":[],"error":null}')
  await until(() => recording.client.confirmedAt !== confirmed)
  await clock.advance(59_000)
  t.equal(isLive(recording), true, 'still patient')
  await clock.advance(6_000)
  await until(() => recording.states.some(({ kind }) => kind === 'connecting'))
  t.match(
    recording.states.find(({ kind }) => kind === 'connecting'),
    { lastProblem: /The server sent nothing/ },
  )
})

t.test('OvsdbClient.transact() gives results and reports errors', async (t) => {
  const fake = await fakeServer(t)
  const { client } = started(t, { endpoints: [fake.endpoint] })
  const early = client.transact([{ op: 'comment', comment: 'x' }])
  await t.rejects(early, { name: 'OvsdbError', failure: 'closed' })
  await until(() => client.state.kind === 'live')
  t.strictSame(await client.transact([{ op: 'comment', comment: 'x' }]), [{ count: 1 }])
  t.match(fake.requests.at(-1)?.params, ['OVN_Southbound', { op: 'comment' }])
})

t.test('OvsdbClient can be closed at any time, twice, and stays closed', async (t) => {
  const fake = await fakeServer(t)
  const recording = started(t, { endpoints: [fake.endpoint] })
  await Promise.all([recording.client.close(), recording.client.close()])
  t.equal(recording.client.state.kind, 'closed')
  const live = started(t, { endpoints: [fake.endpoint] })
  await until(() => isLive(live))
  await live.client.close()
  t.equal(live.client.state.kind, 'closed')
  await until(() => fake.clientCount === 0)
})

t.test('OvsdbClient brings the copy whole when something else is monitored', async (t) => {
  const fake = await fakeServer(t)
  const wanted = { tables: { T: { columns: ['name', 'mac'] } } }
  const { client, recorder } = started(t, { endpoints: [fake.endpoint] }, wanted)
  await until(() => client.state.kind === 'live')
  client.renew()
  await until(() => client.state.kind !== 'live')
  await until(() => client.state.kind === 'live')
  t.equal(recorder.copies, 1, 'the same again: resumed')
  wanted.tables = { T: { columns: ['name'] } }
  client.renew()
  await until(() => client.state.kind !== 'live')
  await until(() => client.state.kind === 'live')
  t.equal(recorder.copies, 2)
  t.match(client.state, { copy: 'full' })
})

t.test('OvsdbClient requests less of a server whose schema is older', async (t) => {
  const fake = await fakeServer(t, { unknownTables: ['New'] })
  const columns = ['name', 'mac']
  const monitored = {
    tables: { T: { columns }, New: { columns } },
    older: { T: { columns } },
  }
  const { client, recorder } = started(t, { endpoints: [fake.endpoint] }, monitored)
  await until(() => client.state.kind === 'live')
  t.strictSame(recorder.names, ['one'])
})

t.test('OvsdbClient connects by other means where it is given some', async (t) => {
  const fake = await fakeServer(t)
  const asked: unknown[] = []
  const recording = started(t, {
    endpoints: [{ kind: 'unix', path: '/not/this/one' }],
    connect: async (endpoint) => {
      asked.push(endpoint)
      if (asked.length === 1) throw new Error('not yet')
      const socket = connect(fake.path)
      await once(socket, 'connect')
      return socket
    },
  })
  await until(() => isLive(recording))
  t.strictSame(recording.recorder.names, ['one'])
  t.match(asked, [{ path: '/not/this/one' }, { path: '/not/this/one' }])
})

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { keptState } from '../../../agent-side/shield/kept-state.ts'
import { GuestPolicy, usualRules } from '../../../agent-side/shield/policy.ts'
import { Readiness, type SeenRequest } from '../../../agent-side/shield/readiness.ts'
import { Seals } from '../../../agent-side/shield/seals.ts'
import { readStateFile } from '../../../agent-side/shield/state-file.ts'
import { createLogger } from '../../../lib/runtime/log.ts'
import { documentClassesOf } from '../../../lib/shield/document-class.ts'
import { instanceId, networkId, projectId } from '../../conformance/topology.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const reading = { isSealing: false, onRead: () => undefined }

function seen(number: number, more: Partial<SeenRequest> & { target?: string } = {}): SeenRequest {
  const scope = { kind: 'network', networkId: networkId(number) } as const
  const identity = {
    instanceId: instanceId(number),
    networkId: networkId(number),
    projectId: projectId(number),
  }
  const { target = '/openstack/latest/user_data' } = more
  return {
    identity,
    scope,
    agent: 'curl/8',
    target,
    classes: documentClassesOf(target),
    findings: [],
    policy: new GuestPolicy(usualRules, identity, scope),
    requests: 1,
    ...more,
  }
}

const tokenless: Partial<SeenRequest> = {
  findings: [
    {
      shield: 'token',
      documents: 'user_data',
      action: 'observe',
      reason: 'token_missing',
      rule: 'built in',
    },
  ],
}

t.test('Readiness counts by guest, program and class of document', async (t) => {
  const readiness = new Readiness()
  readiness.note(seen(1), 10)
  readiness.note(seen(1, { ...tokenless, requests: 5, agent: '' }), 20)
  readiness.note(seen(1, tokenless), 30)
  const rows = [...readiness.rows()]
  t.match(rows, [
    {
      instanceId: instanceId(1),
      scope: `network/${networkId(1)}`,
      client: 'curl/8',
      documents: 'user_data',
      requests: 2,
      firstAt: 10,
      lastAt: 30,
      findings: { token: { reason: 'token_missing', requests: 1, lastAt: 30 } },
      unlooked: { low_port: 30 },
    },
    { client: '-', requests: 5, findings: { token: { requests: 5 } } },
  ])
  t.equal(rows.length, 2)
})

t.test('a guest that invents programs fills its own rows alone', async (t) => {
  const readiness = new Readiness({ mostGuests: 3 })
  for (let number = 0; number < 500; number += 1) {
    readiness.note(seen(1, { agent: `made-up/${number} ${'x'.repeat(200)}`, ...tokenless }), number)
  }
  readiness.note(seen(2), 500)
  const own = [...readiness.rows()].filter((row) => row.instanceId === instanceId(1))
  t.equal(own.length, 17)
  t.match(own.at(-1), {
    client: '(other programs)',
    requests: 484,
    findings: { token: { requests: 484 } },
  })
  t.ok(own.every(({ client }) => client.length <= 80))
})

t.test('who was silent longest is forgotten first, and that is remembered', async (t) => {
  const readiness = new Readiness({ mostGuests: 2 })
  readiness.note(seen(1), 10)
  readiness.note(seen(2), 20)
  readiness.note(seen(1), 30)
  t.equal(readiness.forgottenAt, undefined)
  readiness.note(seen(3), 40)
  t.strictSame(
    [...readiness.rows()].map((row) => row.instanceId),
    [instanceId(1), instanceId(3)],
  )
  t.equal(readiness.forgottenAt, 20)
})

t.test('what was seen survives a restart where a file is named', async (t) => {
  const file = join(scratchFolder(t), 'state')
  const log: string[] = []
  const destination = { write: (line: string) => void log.push(line) }
  const around = {
    file,
    clock: new FakeClock(),
    logger: createLogger({ component: 'test', level: 'info', destination }),
  }
  const before = new Readiness({ mostGuests: 2 })
  const windows = new Seals({ clock: new FakeClock(), onChange: () => undefined })
  const windowsAfter = new Seals({ clock: new FakeClock(), onChange: () => undefined })
  windows.note('fetch', instanceId(1), { from: 'fetch', after: 1 })
  const state = keptState(around, before, windows, reading)
  state.start()
  for (const number of [1, 2, 3]) before.note(seen(number, tokenless), number)
  await around.clock.advance(60_000)
  await state.close()
  t.strictSame(log, [])

  const after = new Readiness()
  const next = keptState(around, after, windowsAfter, reading)
  t.strictSame([...after.rows()], [...before.rows()])
  t.equal(after.forgottenAt, 1)
  t.strictSame(windowsAfter.entries(), windows.entries())
  t.equal(windowsAfter.size, 1)
  await next.close()
})

t.test(
  'a state that cannot be read begins anew, and one that cannot be written is logged',
  async (t) => {
    const folder = scratchFolder(t)
    const file = join(folder, 'state')
    for (const text of [
      'nonsense\n',
      '{"kind":"forgotten","at":1}\n',
      '{"kind":"shield_state","version":2}\n',
      '',
    ]) {
      writeFileSync(file, text)
      t.throws(() => readStateFile(file), /no state of the shield/)
    }
    const window = `{"kind":"window","instanceId":"${instanceId(1)}","began":1}`
    writeFileSync(file, `{"kind":"shield_state","version":1}\n{"kind":"seen"}\nx\n${window}\n`)
    const left = { unreadable: 2, unreadableWindows: 1 }
    t.match(readStateFile(file), { ...left, windows: [[instanceId(1), 1]], seen: [] })
    writeFileSync(file, 'nonsense')
    t.throws(() => readStateFile(folder), /cannot be read/)
    t.strictSame(readStateFile(join(folder, 'nowhere')).seen, [])
    const log: string[] = []
    const destination = { write: (line: string) => void log.push(line) }
    const logger = createLogger({ component: 'test', level: 'info', destination })
    const readiness = new Readiness()
    const state = keptState(
      { file, clock: new FakeClock(), logger },
      readiness,
      new Seals({ clock: new FakeClock(), onChange: () => undefined }),
      reading,
    )
    t.match(log.pop(), /begins anew/)
    readiness.note(seen(1), 1)
    await state.write()
    t.equal(readStateFile(file).seen.length, 1)
    const lost = keptState(
      { file: join(folder, 'no', 'folder'), clock: new FakeClock(), logger },
      readiness,
      new Seals({ clock: new FakeClock(), onChange: () => undefined }),
      reading,
    )
    t.equal(lost.failure, undefined)
    readiness.note(seen(1), 1)
    await lost.close()
    t.match(log.pop(), /cannot be written/)
    t.match(lost.failure, /ENOENT/)
    mkdirSync(join(folder, 'no'))
    await lost.write()
    t.equal(lost.failure, undefined)
  },
)

t.test('a damaged state opens nothing where something is sealed, over restarts', async (t) => {
  const terms = { from: 'fetch', after: 1_000 } as const
  const window = `{"kind":"window","instanceId":"${instanceId(1)}","began":0}`
  const head = '{"kind":"shield_state","version":1}'
  const row = '{"kind":"seen","client":"of another version"}'
  const cases = [
    ['', true],
    ['nonsense', true],
    [`${head}\n${window}\n{"kind":"wind`, true],
    [`${head}\n${window}\n${row}\n`, false],
    [`${head}\n${window}\n`, false],
    [undefined, false],
  ] as const
  for (const [text, isLost] of cases) {
    const file = join(scratchFolder(t), 'state')
    if (text !== undefined) writeFileSync(file, text)
    const outcomes: string[] = []
    const restart = (isSealing: boolean) => {
      const clock = new FakeClock()
      const seals = new Seals({ clock, onChange: () => undefined })
      const onRead = (outcome: string): void => void outcomes.push(outcome)
      const logger = createLogger({
        component: 'test',
        level: 'error',
        destination: { write: () => undefined },
      })
      const around = { file, clock, logger }
      const state = keptState(around, new Readiness(), seals, { isSealing, onRead })
      state.start()
      return { clock, seals, state }
    }
    if (isLost) t.equal(restart(false).seals.lost, undefined, 'nothing was sealed')
    const { clock, seals, state } = restart(true)
    t.equal(seals.lost !== undefined, isLost, text ?? 'no file')
    t.equal(seals.isSealed(instanceId(2), terms), isLost)
    seals.note('fetch', instanceId(2), terms)
    t.equal(seals.isSealed(instanceId(2), terms), isLost, 'no request opens it')
    if (text?.includes(window) === true) t.equal(seals.isSealed(instanceId(1), terms), true)
    const isRefused = isLost || text?.includes(row) === true
    t.equal(outcomes.pop(), isRefused ? 'refused' : 'used')
    if (!isLost) continue
    t.equal(readFileSync(`${file}.unusable`, 'utf8'), text)
    t.equal(seals.unseal(instanceId(3)), true)
    await clock.advance(60_000)
    await state.close()

    const next = restart(false)
    t.equal(outcomes.pop(), 'used')
    t.not(next.seals.lost, undefined, 'an agent that wrote it anew has found no window')
    t.equal(next.seals.isSealed(instanceId(2), terms), true)
    t.equal(next.seals.isSealed(instanceId(3), { ...terms, after: 100_000 }), false, 'unsealed')
    t.equal(readFileSync(`${file}.unusable`, 'utf8'), text, 'the copy stays')
    await next.state.close()
    rmSync(file)
    t.equal(restart(true).seals.isSealed(instanceId(2), terms), false, 'the operator decided')
  }
})

t.test('all guests together have no more rows than so many', async (t) => {
  const readiness = new Readiness({ mostRows: 20 })
  for (let number = 1; number <= 5; number += 1) {
    for (let program = 0; program < 8; program += 1) {
      readiness.note(seen(number, { agent: `made-up/${program}` }), number)
    }
  }
  t.equal([...readiness.rows()].length, 16)
  t.equal(readiness.forgottenAt, 3)
})

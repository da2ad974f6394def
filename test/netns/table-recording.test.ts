import t, { type Test } from 'tap'
import { interceptionRuleset, ruleCountOf } from '../../proxy/interception/ruleset.ts'
import { openNamespace } from '../../proxy/netns/namespace-handle.ts'
import { NftLibrary } from '../../proxy/netlink/nftables.ts'
import {
  countRules,
  recordTable,
  removalOf,
  TablePlayer,
} from '../../proxy/netlink/table-recording.ts'
import { openWindow } from '../../proxy/netns/window.ts'
import {
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'

const table = 'overlapd'

async function rulesetIn(netns: string): Promise<string> {
  const { stdout } = await runInNetns(netns, ['nft', '-s', 'list', 'ruleset'])
  return stdout
}

if (skipUnlessPrivileged(t)) {
  const window = await openWindow()
  const library = new NftLibrary()
  const player = new TablePlayer()
  t.teardown(() => {
    player.release()
    library.release()
  })

  const inside = <Value>(netns: string, work: () => Value): Value => {
    const handle = openNamespace(`/run/netns/${netns}`)
    try {
      return window.run(handle, work)
    } finally {
      handle.close()
    }
  }
  const makeTwo = (t: Test): readonly [string, string] => {
    const names = [uniqueName(), uniqueName()] as const
    makeEmptyNamespaces(t, names)
    return names
  }

  const rulesets = {
    'of both families': { interface: 'qr-*', families: ['ip', 'ip6'] },
    'of IPv4': { interface: 'tap0', families: ['ip'] },
    'for every interface, with a canary': {
      interface: '*',
      families: ['ip', 'ip6'],
      canary: true,
    },
  } as const
  for (const [what, options] of Object.entries(rulesets)) {
    t.test(`rules ${what} are the same when played as when read by the library`, async (t) => {
      const [read, played] = makeTwo(t)
      const ruleset = interceptionRuleset({ tcpPort: 9697, ...options })
      const recording = inside(read, () => {
        library.run(ruleset)
        return recordTable(table)
      })
      inside(played, () => player.play(recording))
      const expected = await rulesetIn(read)
      t.match(expected, 'redirect to :9697')
      t.equal(await rulesetIn(played), expected)
      t.equal(
        inside(played, () => countRules(table)),
        ruleCountOf(ruleset),
      )

      inside(played, () => player.play(recording))
      t.equal(await rulesetIn(played), expected, 'playing it again changes nothing')
    })
  }

  t.test('playing replaces our table, whatever it was, and no other', async (t) => {
    const [read, played] = makeTwo(t)
    const recording = inside(read, () => {
      library.run(interceptionRuleset({ interface: '*', tcpPort: 9697, families: ['ip'] }))
      return recordTable(table)
    })
    const other = 'table inet filter {\n\tchain mine {\n\t\ttcp dport 22 accept\n\t}\n}\n'
    inside(played, () => {
      library.run(other)
      library.run(`table inet ${table} {\n chain old {\n tcp dport 1 drop\n }\n}\n`)
      player.play(recording)
    })
    t.equal(await rulesetIn(played), `${other}${await rulesetIn(read)}`)
  })

  t.test('a removal removes our table, and no other', async (t) => {
    const [, played] = makeTwo(t)
    const recording = removalOf(table)
    const other = 'table inet filter {\n}\n'
    inside(played, () => {
      library.run(`${other}table inet ${table} {\n}\n`)
      player.play(recording)
    })
    t.equal(await rulesetIn(played), other)
    inside(played, () => player.play(recording))
    t.equal(await rulesetIn(played), other, 'what is gone already is no error')
  })

  t.test('what the kernel refuses is reported, and changes nothing', async (t) => {
    const [read, played] = makeTwo(t)
    const ruleset = interceptionRuleset({ interface: '*', tcpPort: 9697, families: ['ip'] })
    const { messages } = inside(read, () => {
      library.run(ruleset)
      player.play(recordTable(table))
      return recordTable(table)
    })
    const broken = Buffer.from(messages)
    // The name of an expression in the last rule.
    broken.write('nonsens', broken.lastIndexOf('counter'), 'latin1')
    inside(played, () => player.play({ messages }))
    const before = await rulesetIn(played)
    t.throws(() => inside(played, () => player.play({ messages: broken })), {
      name: 'SystemCallError',
      errnoName: 'ENOENT',
    })
    t.equal(await rulesetIn(played), before)
  })
}

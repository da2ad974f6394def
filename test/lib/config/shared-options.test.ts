import t from 'tap'
import { agentConfig } from '../../../agent-side/config/config.ts'
import type { Entry, Table } from '../../../lib/config/entry.ts'
import { loadConfig } from '../../../lib/config/load.ts'
import { tcpAddress } from '../../../lib/config/shared-options.ts'
import { proxyConfig } from '../../../proxy/config/config.ts'

interface NamedOption {
  readonly path: string
  readonly key: string
  readonly entry: Entry<unknown>
}

function optionsOf(table: Table, above = ''): readonly NamedOption[] {
  return Object.entries(table).flatMap(([key, entry]) => {
    const path = above === '' ? key : `${above}.${key}`
    const inner = entry.table ?? entry.item?.table
    return [{ path, key, entry }, ...(inner === undefined ? [] : optionsOf(inner, path))]
  })
}

const agent = optionsOf(agentConfig.table)
const proxy = optionsOf(proxyConfig.table)
/** Where OpenStack has a name for it, that is the name. */
const openStackNames = /^(?:ovsdb_connection_timeout|rpc_response_timeout)$/

t.test('what both daemons have under one name has one form', async (t) => {
  const both = agent.flatMap((one) => {
    const other = proxy.find(({ path }) => path === one.path)
    return other === undefined ? [] : [{ one, other }]
  })
  t.ok(both.length >= 16, `${both.length} options are in both`)
  for (const { one, other } of both) {
    t.equal(one.entry.type, other.entry.type, `type of ${one.path}`)
    t.equal(one.entry.unit, other.entry.unit, `unit of ${one.path}`)
  }
})

t.test('a name states what is written behind it', async (t) => {
  const rules: readonly (readonly [what: string, (one: NamedOption) => boolean])[] = [
    ['sizes end in _bytes', ({ key, entry }) => key.endsWith('_bytes') === (entry.type === 'size')],
    ['time limits begin with timeout_', ({ key }) => !/_timeout$|^timeout$/.test(key)],
    [
      'timeout_ is a duration',
      ({ key, entry }) => !key.startsWith('timeout_') || entry.type === 'duration',
    ],
    ['flags of whole sections are called enabled', ({ key }) => !/.+_enabled$/.test(key)],
  ]
  for (const [what, holds] of rules) {
    const named = [...agent, ...proxy].filter(({ key }) => !openStackNames.test(key))
    const wrong = named.filter((one) => !holds(one)).map(({ path }) => path)
    t.strictSame(wrong, [], what)
  }
})

t.test('tcpAddress() takes what it is for', async (t) => {
  const read = (option: Entry<unknown>, value: string): string => {
    try {
      const options = { environment: {}, environmentPrefix: 'X', set: [`at=${value}`] }
      return JSON.stringify(loadConfig({ at: option }, options).config.at)
    } catch (thrown) {
      return String(thrown)
    }
  }
  const anywhere = tcpAddress({ help: 'x', min: 0 })
  const inNamespace = tcpAddress({ help: 'x', min: 1, takesInterface: true })
  t.match(read(anywhere, '127.0.0.1:0'), /"tcpPort":0/)
  t.match(read(anywhere, '[fe80::1%tap0]:80'), /is not an IP address with a port/)
  t.match(read(inNamespace, '[fe80::1%tap0]:80'), /"interface":"tap0"/)
  t.match(read(inNamespace, '127.0.0.1:0'), /is not an address with a port/)
})

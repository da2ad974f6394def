import { readFileSync } from 'node:fs'
import t from 'tap'
import { parseNeutronHaproxyConfig } from '../../../proxy/haproxy-shim/neutron-config.ts'
import { ignoredText } from '../../../proxy/haproxy-shim/stand-in.ts'

t.test('ignoredText() reports to whoever limited requests where that is done now', async (t) => {
  const file = new URL('../../fixtures/haproxy/rate-limiting.conf', import.meta.url)
  const { ignored } = parseNeutronHaproxyConfig(readFileSync(file, 'utf8'))

  t.match(ignoredText(ignored), /stick-table.*rate_limit of overlapd-agent/)
  t.equal(ignoredText(['stats']), 'without effect here: stats')
  t.equal(ignoredText([]), undefined)
})

// A proxy whose agent is on this host was sent SIGHUP and said "Certificates were read again". Right: it says that there was nothing to
// read.
import t from 'tap'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { startProxy } from '../support/running-proxy.ts'

if (skipUnlessPrivileged(t)) {
  t.test('SIGHUP without certificates reports that there is nothing to read', async (t) => {
    const proxy = await startProxy(t)
    process.kill(proxy.pid, 'SIGHUP')
    await proxy.until('a line about it', () => /read again/.test(proxy.log()))
    t.match(proxy.log(), /There is nothing to read again: other settings need a restart/)
    t.notMatch(proxy.log(), /Certificates/)
  })
}

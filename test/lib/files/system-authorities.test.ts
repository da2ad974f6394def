import { join } from 'node:path'
import t from 'tap'
import { systemAuthorities } from '../../../lib/files/system-authorities.ts'

const pem = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n'

t.test('systemAuthorities() takes the first bundle that holds certificates', async (t) => {
  const folder = t.testdir({ 'empty.pem': '', 'first.pem': pem, 'second.pem': `${pem}${pem}` })
  const at = (name: string): string => join(folder, name)
  const bundles = [at('absent.pem'), at('empty.pem'), at('first.pem'), at('second.pem')]
  t.equal(systemAuthorities('', bundles), pem)
  t.equal(
    systemAuthorities(at('second.pem'), bundles),
    `${pem}${pem}`,
    'SSL_CERT_FILE counts first',
  )
  t.equal(systemAuthorities(at('absent.pem'), bundles), pem, 'one that is not there does not count')
  t.equal(systemAuthorities('', [at('absent.pem')]), undefined, "Node's own list then")
})

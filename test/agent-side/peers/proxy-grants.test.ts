import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { ProxyGrants } from '../../../agent-side/peers/proxy-grants.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'
import { TestAuthority, withoutOpenssl } from '../../support/test-authority.ts'

const skip = withoutOpenssl()
const hosts = Array.from({ length: 10_000 }, (_, number) => `compute-${number}.example`)

t.test(
  'ProxyGrants finds one of ten thousand hosts with few looks at its certificate',
  { skip },
  async (t) => {
    const authority = new TestAuthority(scratchFolder(t))
    const grants = new ProxyGrants(hosts.map((name) => ({ name, scopes: [] })))
    for (const [wanted, known] of [
      [{ dnsNames: ['COMPUTE-1234.example'] }, 'compute-1234.example'],
      [{ commonName: 'compute-77.example' }, 'compute-77.example'],
      [{ commonName: 'compute-77.example', dnsNames: ['other.example'] }, undefined],
      [{ dnsNames: ['compute-12345.example'] }, undefined],
    ] as const) {
      const certificate = new X509Certificate(readFileSync(authority.issue(wanted).certificateFile))
      let looks = 0
      const checkHost = certificate.checkHost.bind(certificate)
      certificate.checkHost = (...args) => {
        looks += 1
        return checkHost(...args)
      }
      const recognised = grants.recognise(certificate)
      t.equal(recognised.kind === 'known' ? recognised.proxy.name : undefined, known)
      t.ok(looks <= 1, `${looks} of 10,000`)
    }
  },
)

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { ProxyGrants } from '../../../agent-side/peers/proxy-grants.ts'
import { networkId } from '../../conformance/topology.ts'
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

t.test(
  'ProxyGrants knows a host that is not listed by the one name of its certificate',
  { skip },
  async (t) => {
    const authority = new TestAuthority(scratchFolder(t))
    const asked: string[] = []
    const grants = new ProxyGrants([{ name: 'listed', scopes: [] }], (host) => {
      asked.push(host)
      return true
    })
    const scope = { kind: 'network', networkId: networkId(1) } as const
    for (const [wanted, kind, name] of [
      [{ commonName: 'listed' }, 'known', undefined],
      [{ commonName: 'host-a' }, 'known', 'host-a'],
      [{ commonName: 'host-a', dnsNames: ['Host-B.example'] }, 'known', 'Host-B.example'],
      [{ dnsNames: ['host-a', 'host-b'] }, 'several', undefined],
      [{ dnsNames: ['*.example'], commonName: 'host-a' }, 'unknown', undefined],
      [{ commonName: '*' }, 'unknown', undefined],
      [{ ipAddresses: ['192.0.2.1'] }, 'unknown', undefined],
    ] as const) {
      asked.length = 0
      const { certificateFile } = authority.issue(wanted)
      const recognised = grants.recognise(new X509Certificate(readFileSync(certificateFile)))
      t.equal(recognised.kind, kind, JSON.stringify(wanted))
      if (recognised.kind !== 'known') continue
      t.equal(recognised.proxy.maySpeakFor(scope), name !== undefined)
      t.strictSame(asked, name === undefined ? [] : [name])
    }
  },
)

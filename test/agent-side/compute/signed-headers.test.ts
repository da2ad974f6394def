import t from 'tap'
import { RequestSigner } from '../../../agent-side/compute/signed-headers.ts'
import { parseInstanceId } from '../../../lib/identity/ids.ts'
import { Secret } from '../../../lib/runtime/secret.ts'
import { ip, projectId } from '../../conformance/topology.ts'

const identity = {
  instanceId: parseInstanceId('83679162-1378-4288-a2d4-70e13ec132aa')!,
  projectId: projectId(1),
  sourceIp: ip('10.0.0.10'),
}

t.test('headersFor() makes exactly the four headers that Nova trusts', async (t) => {
  const signer = new RequestSigner({ current: new Secret('s3cr3t') })
  t.strictSame(signer.headersFor(identity, 'current'), [
    'x-forwarded-for',
    '10.0.0.10',
    'x-instance-id',
    '83679162-1378-4288-a2d4-70e13ec132aa',
    'x-tenant-id',
    projectId(1),
    'x-instance-id-signature',
    '5d96108fbe2aa6cc7305b88107da79181bd03208e80c264ca34778d607213a72',
  ])
})

t.test('headersFor() keeps what it made, for this identity and this secret', async (t) => {
  const signer = new RequestSigner({ current: new Secret('old'), next: new Secret('new') })
  const current = signer.headersFor(identity, 'current')
  t.equal(signer.headersFor(identity, 'current'), current)
  t.not(signer.headersFor(identity, 'next').at(-1), current.at(-1))
  const other = { ...identity, sourceIp: ip('10.0.0.11') }
  t.equal(signer.headersFor(other, 'current')[1], '10.0.0.11')
})

t.test('otherThan() knows of two secrets only when there are two', async (t) => {
  const one = new RequestSigner({ current: new Secret('old') })
  t.equal(one.otherThan('current'), undefined)
  t.throws(() => one.headersFor(identity, 'next'), TypeError)
  const two = new RequestSigner({ current: new Secret('old'), next: new Secret('new') })
  t.equal(two.otherThan('current'), 'next')
  t.equal(two.otherThan('next'), 'current')
})

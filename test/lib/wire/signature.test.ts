import t from 'tap'
import { parseInstanceId } from '../../../lib/identity/ids.ts'
import { Secret } from '../../../lib/runtime/secret.ts'
import { signInstanceId, verifyInstanceId } from '../../../lib/wire/signature.ts'

/** Secret, instance id, signature: worked out with OpenSSL and accepted by Nova. */
const vectors = [
  ['secret', 'uuid1', '3b5421875d7ba0fc910202f5ce448d9419597e7b66f702b53335116fee60e81e'],
  ['', 'uuid1', '00e9165904e5ef81176b85631487f0ff6095fe5cbef092a8a65dc76a4627c2e9'],
  [
    's3cr3t',
    '83679162-1378-4288-a2d4-70e13ec132aa',
    '5d96108fbe2aa6cc7305b88107da79181bd03208e80c264ca34778d607213a72',
  ],
  [
    '',
    '83679162-1378-4288-a2d4-70e13ec132aa',
    '83ea72f29589eb09196ac43f7ba04ac740f849f06971900bbff4afb99f7cd75f',
  ],
] as const

t.test('signInstanceId() gives the signature Nova computes', async (t) => {
  for (const [secret, id, signature] of vectors) {
    const instanceId = parseInstanceId(id)
    t.ok(instanceId)
    t.equal(instanceId && signInstanceId(new Secret(secret), instanceId), signature)
  }
})

t.test('verifyInstanceId() accepts exactly the right signature', async (t) => {
  for (const [secret, id, signature] of vectors) {
    t.equal(verifyInstanceId(new Secret(secret), id, signature), true)
    t.equal(verifyInstanceId(new Secret(secret), id, signature.toUpperCase()), false)
    t.equal(verifyInstanceId(new Secret(`${secret}x`), id, signature), false)
    t.equal(verifyInstanceId(new Secret(secret), `${id}0`, signature), false)
    t.equal(verifyInstanceId(new Secret(secret), id, ''), false)
    t.equal(verifyInstanceId(new Secret(secret), id, 'é'.repeat(32)), false)
  }
})

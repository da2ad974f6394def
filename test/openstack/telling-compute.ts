import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { Secret } from '../../lib/runtime/secret.ts'
import { verifyInstanceId } from '../../lib/wire/signature.ts'
import type { Place } from './place.ts'

/**
 * Stands for Nova where only the identity matters: it answers every signed question with the instance it was asked for, and
 * knows every instance. @returns its URL
 */
export async function startTellingCompute(t: Test, place: Place): Promise<string> {
  const secret = new Secret(place.sharedSecret)
  const server = createServer((request, response) => {
    const id = request.headers['x-instance-id']?.toString() ?? ''
    const signature = request.headers['x-instance-id-signature']?.toString() ?? ''
    response.statusCode = verifyInstanceId(secret, id, signature) ? 200 : 403
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ uuid: id, project_id: request.headers['x-tenant-id'] }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

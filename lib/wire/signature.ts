import { createHmac, timingSafeEqual } from 'node:crypto'
import type { InstanceId } from '../identity/ids.ts'
import type { Secret } from '../runtime/secret.ts'

/**
 * Signs an instance id as Nova expects it: lower-case hex of HMAC-SHA256, key and message in UTF-8. Nothing but
 * the id is covered, so the signature of an instance is a constant per secret.
 * @see neutron/common/utils.py sign_instance_id, nova/api/metadata/handler.py
 */
export function signInstanceId(secret: Secret, instanceId: InstanceId): string {
  return createHmac('sha256', secret.reveal()).update(instanceId, 'utf8').digest('hex')
}

/** Compares in constant time, as Nova does since CVE-2014-3517; upper-case hex is not a signature. */
export function verifyInstanceId(secret: Secret, instanceId: string, signature: string): boolean {
  const expected = createHmac('sha256', secret.reveal()).update(instanceId, 'utf8').digest('hex')
  const given = Buffer.from(signature, 'utf8')
  const wanted = Buffer.from(expected, 'utf8')
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

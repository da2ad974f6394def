import { brokenAnswer, type JsonObject } from '../../directory/neutron-port.ts'
import { isMapping } from '../../../../lib/runtime/mapping.ts'

/** @throws MetadataError `directory_unavailable` when the text is not one JSON object, as when it was cut short */
export function parseJsonObject(text: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw brokenAnswer('it is not JSON, or cut short', cause)
  }
  if (!isMapping(value)) throw brokenAnswer('it is not a JSON object')
  return value
}

/** How many routers did a packet pass? */
import type { Count } from '../runtime/clock.ts'

/** With what systems send: Linux and the BSDs, Windows, some appliances. @see RFC 1700, net.ipv4.ip_default_ttl */
const initialHopLimits = [64, 128, 255] as const

/** True for a hop limit as systems send it, before any router. */
export function isInitialHopLimit(hopLimit: number): boolean {
  return hopLimit === 64 || hopLimit === 128 || hopLimit === 255
}

/** The routers that a packet passed, if it was sent with the nearest of the usual hop limits. */
export function routersPassed(hopLimit: number): Count {
  const initial = initialHopLimits.find((one) => one >= hopLimit) ?? hopLimit
  return initial - hopLimit
}

import type { AttackClass } from './attack-class.ts'
import { connectionChurn } from './connection-churn.ts'
import { crossTenant } from './cross-tenant/cross-tenant.ts'
import { hostileCompute } from './hostile-compute/hostile-compute.ts'
import { hostilePeers } from './hostile-peers/hostile-peers.ts'
import { hostileProgram } from './hostile-program/hostile-program.ts'
import { hostileWorker } from './hostile-worker.ts'
import { hostUsers } from './host-users/host-users.ts'
import { floods } from './floods/floods.ts'
import { httpEdge } from './http-edge/http-edge.ts'
import { identity } from './identity-class.ts'
import { rawSockets } from './raw-sockets/raw-sockets.ts'

/** Every class of attack. To add one, export an `AttackClass` from a file of this folder and name it here. */
export const attackClasses: readonly AttackClass[] = [
  httpEdge,
  rawSockets,
  connectionChurn,
  hostUsers,
  hostileWorker,
  crossTenant,
  identity,
  floods,
  hostileCompute,
  hostilePeers,
  hostileProgram,
]

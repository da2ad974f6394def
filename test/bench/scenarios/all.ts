import type { Scenario } from '../scenario.ts'
import { attach } from './attach.ts'
import { bare } from './bare.ts'
import { bootStorm } from './boot-storm.ts'
import { boots } from './boots.ts'
import { cold } from './cold.ts'
import { crawl } from './crawl.ts'
import { resolver } from './resolver.ts'
import { restart } from './restart.ts'
import { shield } from './shield.ts'
import { warm, warmClosing, warmDirect, warmDirectClosing } from './warm.ts'
import { workers } from './workers.ts'

/** Everything that is measured of overlapd alone. Those that share a network stand together. */
export const scenarios: readonly Scenario[] = [
  resolver,
  warm,
  warmClosing,
  warmDirect,
  warmDirectClosing,
  bare,
  workers,
  shield,
  restart,
  cold,
  bootStorm,
  boots,
  attach,
  crawl,
]

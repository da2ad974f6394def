import t from 'tap'
import { StaticDirectory } from '../../../../agent-side/ports/static/directory.ts'
import { systemClock } from '../../../../lib/runtime/clock.ts'
import { createRegistry } from '../../../../lib/observe/metrics.ts'
import { silentLogger } from '../../../../lib/runtime/log.ts'
import { portDirectoryConformance } from '../../../conformance/port-directory.ts'
import { makeWatchedFile, staticFileText } from '../../../support/static-file.ts'

portDirectoryConformance(t, {
  name: 'StaticDirectory',
  pushes: true,
  routers: true,
  async open(topology, options) {
    const watched = await makeWatchedFile()
    let text = staticFileText(topology)
    await watched.replace(options?.cutOff === true ? '' : text)
    const { file } = watched
    const directory = new StaticDirectory(
      { file, poll_interval: 10_000 },
      { clock: systemClock, logger: silentLogger, registry: createRegistry(), debounce: 1 },
    )
    return {
      directory,
      clock: systemClock,
      async setTopology(next) {
        text = staticFileText(next)
        await watched.replace(text)
      },
      cutOff: () => watched.replace('ports: [{'),
      restore: () => watched.replace(text),
      settled: () => directory.reload(),
      close: () => watched.remove(),
    }
  },
})

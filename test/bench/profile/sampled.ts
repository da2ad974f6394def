/**
 * Loaded before a daemon's own program (`node --import URL`): samples its main thread from the start to the end and writes a
 * `.cpuprofile` into the folder that the query of the URL names. With `children` in the query that is done in the programs
 * that the daemon starts, and not in itself: the supervisor's system calls take the sampler's signal for a failure.
 *
 * `--cpu-prof` is no choice: workers are started without environment, and may start no thread after they gave up root.
 */
import childProcess, { type ChildProcess, type SpawnOptions } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'

/** Microseconds between two samples. */
const interval = 500

const query = new URL(import.meta.url).searchParams
const folder = query.get('folder') ?? '.'

function sample(): void {
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.setSamplingInterval', { interval })
  session.post('Profiler.start')
  process.on('exit', () => {
    session.post('Profiler.stop', (cause, result) => {
      if (cause !== null) return
      const file = join(folder, `${process.pid}.cpuprofile`)
      writeFileSync(file, JSON.stringify(result.profile))
    })
  })
}

function sampleChildren(): void {
  const { spawn } = childProcess
  const sampled = new URL(import.meta.url)
  sampled.searchParams.delete('children')
  const spawnSampled = (
    program: string,
    words: readonly string[],
    options: SpawnOptions,
  ): ChildProcess => {
    const isNode = program === process.execPath
    return spawn(program, isNode ? ['--import', sampled.href, ...words] : words, options)
  }
  childProcess.spawn = spawnSampled as typeof spawn
  syncBuiltinESMExports()
}

if (query.has('children')) sampleChildren()
else sample()

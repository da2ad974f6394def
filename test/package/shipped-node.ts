/** `npm run test:node`: runs tests on the Node that comes with the packages, whichever runs the others. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  architectures,
  fetchNode,
  nodeReleases,
  nodeVersion,
} from '../../deploy/packages/node-release.ts'
import { projectRoot } from '../support/source-files.ts'

/** One request through both daemons, and every promise to guests; about a minute. */
const short = ['test/behaviour', 'test/deploy/demo']

const architecture = architectures.find((each) => nodeReleases[each].cpu === process.arch)
if (architecture === undefined) throw new Error(`there is no package for ${process.arch}`)
const folder = join(projectRoot, 'node_modules/.cache', `node-${nodeVersion}`)
const node = join(folder, 'bin/node')
if (!existsSync(node)) fetchNode(architecture, folder)
const given = process.argv.slice(2)
process.stdout.write(`on Node ${nodeVersion}\n`)
const { status } = spawnSync(
  node,
  [join(projectRoot, 'test/support/run-tests.mjs'), ...(given.length > 0 ? given : short)],
  { stdio: 'inherit', cwd: projectRoot },
)
process.exitCode = status ?? 1

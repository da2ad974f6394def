import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder that holds package.json. */
export const projectRoot = fileURLToPath(new URL('../..', import.meta.url))
/** Where the code is that runs in production. */
export const productionFolders = ['lib', 'proxy', 'agent-side', 'deploy'] as const

/** One file of the project. */
export interface SourceFile {
  /** From the root, with slashes: `lib/identity/ids.ts`. */
  readonly path: string
  readonly text: string
}

const unreadFolders = new Set(['node_modules', 'dist', '.git', '.tap'])

/** The paths of all files below some folders, sorted. */
export function projectPaths(folders: readonly string[]): readonly string[] {
  return folders.flatMap((folder) => below(join(projectRoot, folder))).toSorted()
}

function below(folder: string): readonly string[] {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return []
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (unreadFolders.has(entry.name)) return []
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return below(path)
    return entry.isFile() ? [relative(projectRoot, path).split(sep).join('/')] : []
  })
}

/** Every TypeScript file below some folders. */
export function sourceFiles(folders: readonly string[] = productionFolders): readonly SourceFile[] {
  return projectPaths(folders)
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(join(projectRoot, path), 'utf8') }))
}

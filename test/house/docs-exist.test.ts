import t from 'tap'
import ts from 'typescript'
import { sourceFiles, type SourceFile } from '../support/source-files.ts'

function isExported(node: ts.Statement): boolean {
  return (
    ts.canHaveModifiers(node) &&
    (ts.getModifiers(node) ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)
  )
}

function hasDoc(node: ts.Statement, file: ts.SourceFile): boolean {
  const ranges = ts.getLeadingCommentRanges(file.text, node.getFullStart()) ?? []
  return ranges.some((range) => file.text.startsWith('/**', range.pos))
}

/** Right under its neighbour, without an empty line: one comment speaks for both. */
function continues(
  node: ts.Statement,
  above: ts.Statement | undefined,
  file: ts.SourceFile,
): boolean {
  if (above === undefined || !isExported(above)) return false
  const gap = file.text.slice(above.getEnd(), node.getStart())
  return gap.split('\n').length === 2
}

/** `FooOptions` beside a documented `Foo` says in its name what it is for; its fields speak for themselves. */
function isParameterBag(node: ts.Statement): boolean {
  return ts.isInterfaceDeclaration(node) && /(?:Options|Request|Limits)$/.test(node.name.text)
}

function undocumented({ path, text }: SourceFile): readonly string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
  let isAboveDocumented = false
  return file.statements.flatMap((node, index) => {
    const isDocumented =
      hasDoc(node, file) || (isAboveDocumented && continues(node, file.statements[index - 1], file))
    isAboveDocumented = isDocumented
    // `export { x } from` only passes on what is documented where it is made.
    if (!isExported(node) || isDocumented || ts.isExportDeclaration(node)) return []
    if (isParameterBag(node)) return []
    const { line } = file.getLineAndCharacterOfPosition(node.getStart())
    return [`${path}:${line + 1} ${node.getText().split('\n')[0]}`]
  })
}

t.test('each exported declaration has its purpose', async (t) => {
  const files = sourceFiles()
  t.ok(files.length > 20)
  t.strictSame(files.flatMap(undocumented), [])
})

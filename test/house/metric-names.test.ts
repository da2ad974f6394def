import t from 'tap'
import ts from 'typescript'
import { sourceFiles, type SourceFile } from '../support/source-files.ts'

interface Metric {
  readonly where: string
  readonly kind: string
  readonly name: string | undefined
  readonly help: string | undefined
}

type Words = ReadonlyMap<string, ts.Expression>

/** What a name written in code comes to: literals, templates, constants of the file, and functions that put words before it. */
function evaluated(
  node: ts.Expression,
  words: Words,
  given?: ReadonlyMap<string, string>,
): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text
  if (ts.isIdentifier(node)) {
    const meant = words.get(node.text)
    if (given?.has(node.text) === true) return given.get(node.text)
    if (node.text === 'metricNamespace') return 'overlapd'
    return meant && evaluated(meant, words)
  }
  if (ts.isTemplateExpression(node)) {
    const parts = node.templateSpans.map((span) => {
      const text = evaluated(span.expression, words, given)
      return text === undefined ? undefined : text + span.literal.text
    })
    return parts.includes(undefined) ? undefined : node.head.text + parts.join('')
  }
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
    const called = words.get(node.expression.text)
    const [argument] = node.arguments
    if (called === undefined || argument === undefined || !ts.isArrowFunction(called))
      return undefined
    const [parameter] = called.parameters
    const value = evaluated(argument, words, given)
    if (parameter === undefined || value === undefined || ts.isBlock(called.body)) return undefined
    return evaluated(called.body, words, new Map([[parameter.name.getText(), value]]))
  }
  return undefined
}

function constantsOf(file: ts.SourceFile): Words {
  const words = new Map<string, ts.Expression>()
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && node.initializer) {
      words.set(node.name.text, node.initializer)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return words
}

function property(node: ts.Expression | undefined, name: string): ts.Expression | undefined {
  if (node === undefined || !ts.isObjectLiteralExpression(node)) return undefined
  const found = node.properties.find((each) => each.name?.getText() === name)
  return found !== undefined && ts.isPropertyAssignment(found) ? found.initializer : undefined
}

function isNamedFunction(
  node: ts.Node,
): node is ts.ArrowFunction & { readonly parent: ts.VariableDeclaration } {
  return ts.isArrowFunction(node) && ts.isVariableDeclaration(node.parent)
}

/** The calls of the local function around a node, as the words that its parameters then stand for. */
function callsAround(
  node: ts.Node,
  file: ts.SourceFile,
  words: Words,
): readonly ReadonlyMap<string, string>[] {
  let within: ts.Node = node.parent
  while (!ts.isSourceFile(within) && !isNamedFunction(within)) within = within.parent
  if (!isNamedFunction(within)) return []
  const { parameters } = within
  const called = within.parent.name.getText()
  const calls: ReadonlyMap<string, string>[] = []
  const visit = (each: ts.Node): void => {
    if (ts.isCallExpression(each) && each.expression.getText() === called) {
      const isPlain = each.arguments[0] && evaluated(each.arguments[0], words) !== undefined
      const around = isPlain === true ? [] : callsAround(each, file, words)
      for (const given of around.length > 0 ? around : [undefined]) {
        const texts = each.arguments.map((argument) => evaluated(argument, words, given) ?? '')
        calls.push(
          new Map(
            parameters.map((parameter, index) => [parameter.name.getText(), texts[index] ?? '']),
          ),
        )
      }
    }
    ts.forEachChild(each, visit)
  }
  visit(file)
  return calls
}

function shorthand(node: ts.Expression | undefined, name: string): ts.Expression | undefined {
  if (node === undefined || !ts.isObjectLiteralExpression(node)) return undefined
  const found = node.properties.find((each) => each.name?.getText() === name)
  return found !== undefined && ts.isShorthandPropertyAssignment(found) ? found.name : undefined
}

function metricsOf({ path, text }: SourceFile): readonly Metric[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true)
  const words = constantsOf(file)
  const metrics: Metric[] = []
  const visit = (node: ts.Node): void => {
    const line = (): string =>
      `${path}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`
    if (
      ts.isNewExpression(node) &&
      /^(?:Counter|Gauge|Histogram)$/.test(node.expression.getText())
    ) {
      const [settings] = node.arguments ?? []
      const name = property(settings, 'name') ?? shorthand(settings, 'name')
      const help = property(settings, 'help') ?? shorthand(settings, 'help')
      const isPlain = name !== undefined && evaluated(name, words) !== undefined
      const calls = isPlain ? [] : callsAround(node, file, words)
      for (const given of calls.length > 0 ? calls : [undefined]) {
        metrics.push({
          where: line(),
          kind: node.expression.getText(),
          name: name && evaluated(name, words, given),
          help: help && evaluated(help, words, given),
        })
      }
    } else if (ts.isStringLiteral(node) && /^overlapd_[a-z]+_/.test(node.text)) {
      const call = node.parent
      const help = ts.isCallExpression(call) ? call.arguments[1] : undefined
      const isNamed = ts.isVariableDeclaration(call) || ts.isPropertyAssignment(call)
      metrics.push({
        where: line(),
        kind: node.text.endsWith('_total') ? 'Counter' : 'Gauge or Histogram',
        name: node.text,
        help: isNamed ? 'elsewhere, by its name' : help && evaluated(help, words),
      })
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return metrics
}

const metrics = sourceFiles().flatMap(metricsOf)

t.test('each metric is named overlapd_<area>_<noun>_<unit>[_total], in base units', async (t) => {
  t.ok(metrics.length > 0)
  for (const { where, kind, name } of metrics) {
    const shown = `${where} ${name ?? 'has a name that cannot be read off the code'}`
    // Prometheus' clients call what every process has by these names.
    t.match(name, /^(?:overlapd(?:_[a-z][a-z0-9]*){2,}|process(?:_[a-z]+)+)$/, shown)
    t.notMatch(
      name,
      /_(?:ms|millis|milliseconds|minutes|hours|kb|kib|mb|mib|percent)(?:_|$)/,
      shown,
    )
    if (kind === 'Counter') t.match(name, /_total$/, shown)
    if (kind === 'Gauge' || kind === 'Histogram') t.notMatch(name, /_total$/, shown)
    if (kind === 'Histogram') t.match(name, /_(?:seconds|bytes|rows|ports|requests)$/, shown)
  }
})

t.test('each metric has a sentence of help', async (t) => {
  for (const { where, name, help } of metrics) {
    t.match(help, /^[A-Z0-9e][^]{8,}/, `${where} ${name}`)
  }
})

/** Types of the language's own library: which have a JSON form. */
import { ts } from "ts-morph"

export type GlobalKind = "array" | "map" | "set" | "date" | "url" | "bytes" | "refused"

const kinds: Readonly<Record<string, GlobalKind>> = {
  Array: "array",
  ReadonlyArray: "array",
  Map: "map",
  ReadonlyMap: "map",
  Set: "set",
  ReadonlySet: "set",
  Date: "date",
  URL: "url",
  Uint8Array: "bytes",
}

/** Definitions are read without the DOM's library, a third of the time; this is the one name of it that has a schema. */
export const ambientFile = "/ponos-gen-globals.d.ts"
export const ambientText = "interface URL { readonly href: string }\n"

const isGlobalFile = (source: ts.SourceFile, program: ts.Program): boolean =>
  program.isSourceFileDefaultLibrary(source) || source.fileName === ambientFile || source.fileName.includes("/node_modules/@types/node/")

export const globalName = (type: ts.Type, program: ts.Program): string | undefined => {
  const symbol = type.getSymbol()
  const isNamed = symbol !== undefined && (symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.Class)) !== 0
  return isNamed && symbol.declarations?.some((declaration) => isGlobalFile(declaration.getSourceFile(), program)) === true
    ? symbol.name
    : undefined
}

/** `undefined`: a type of the user. */
export const globalKind = (type: ts.Type, program: ts.Program): GlobalKind | undefined => {
  const name = globalName(type, program)
  return name === undefined ? undefined : (kinds[name] ?? "refused")
}

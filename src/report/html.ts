import { printable } from '../figures.js'

/** Markup. Whatever else is put into a template is text. */
export class Html {
  constructor(readonly text: string) {}
}

type Value = Html | string | number | null | readonly (Html | null)[]

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Also control characters, and those that turn the direction of text, are shown and do nothing. */
const escaped = (text: string): string => printable(text).replace(/[&<>"']/g, (char) => entities[char] as string)

const written = (value: Value): string => {
  if (value === null) return ''
  if (value instanceof Html) return value.text
  return typeof value === 'object' ? value.map(written).join('') : escaped(String(value))
}

/** Nothing gets into the markup but through here. Attributes are to be quoted. */
export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(parts.reduce((text, part, i) => text + written(values[i - 1] as Value) + part))
}

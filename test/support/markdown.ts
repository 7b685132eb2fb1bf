// The pages that are written for people, as far as a machine can read them.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { repository } from './host.js'

/** What stands between two fences. */
export interface Block {
  /** Of the repository: `'docs/files.md'`. */
  page: string
  /** Of its first fence. */
  line: number
  language: string
  code: string
}

/** A page of the repository. */
export class Page {
  readonly name: string
  readonly text: string

  constructor(name: string) {
    this.name = name
    this.text = readFileSync(join(repository, name), 'utf8')
  }

  get blocks(): Block[] {
    return [...this.text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(({ 1: language, 2: code, index }) => ({
      page: this.name,
      line: this.text.slice(0, index).split('\n').length,
      language: `${language}`,
      code: `${code}`,
    }))
  }

  /** Without what stands between fences. */
  get prose(): string {
    return this.text.replace(/^```[\s\S]*?^```$/gm, '')
  }

  /** The text under a heading, up to the next of the same or a higher level. */
  section(title: string): string {
    const lines = this.text.split('\n')
    const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === title)
    if (start < 0) throw new Error(`${this.name} has no section ${title}`)
    const level = `${lines[start]}`.indexOf(' ')
    const length = lines.slice(start + 1).findIndex((line) => new RegExp(`^#{1,${level}} `).test(line))
    return lines.slice(start + 1, length < 0 ? undefined : start + 1 + length).join('\n')
  }

  /** The cells of the first table in a section, without its head. */
  table(title: string): string[][] {
    const rows =
      /(^\|.*\n)+/m
        .exec(`${this.section(title)}\n`)?.[0]
        .trim()
        .split('\n')
        .slice(2) ?? []
    return rows.map((row) =>
      row
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
  }

  /** What is in code style in the first column of that table. */
  firstColumn(title: string): string[] {
    return this.table(title).flatMap(([cell]) => coded(`${cell}`))
  }

  /** Where `#…` of a link to this page may lead, as GitHub makes it of headings. */
  get anchors(): string[] {
    const seen = new Map<string, number>()
    return [...this.prose.matchAll(/^#+ (.*)$/gm)].map(([, title]) => {
      const plain = `${title}`
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-')
      const before = seen.get(plain) ?? 0
      seen.set(plain, before + 1)
      return before === 0 ? plain : `${plain}-${before}`
    })
  }

  /** Where its links and pictures lead. */
  get links(): string[] {
    return [...this.prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => `${link}`)
  }
}

/** The words in code style of a text, outside of blocks. */
export const coded = (text: string): string[] =>
  [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`]+)`/g)].map(([, word]) => `${word}`.replace(/\s+/g, ' '))

const guides = readdirSync(join(repository, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)

/** For who uses the library, and for who works on it. */
export const pages: Page[] = ['README.md', 'UPGRADING.md', 'SECURITY.md', 'CONTRIBUTING.md', ...guides].map(
  (name) => new Page(name),
)

export function pageOf(name: string): Page {
  const found = pages.find((page) => page.name === name)
  if (found === undefined) throw new Error(`there is no page ${name}`)
  return found
}

/** Those in these languages, of all pages. */
export const blocksOf = (...languages: string[]): Block[] =>
  pages.flatMap(({ blocks }) => blocks.filter(({ language }) => languages.includes(language)))

/** For the name of a test. */
export const placeOf = ({ page, line }: Block): string => `${page}:${line}`

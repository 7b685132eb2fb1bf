import { invalidArgType, invalidArgValue } from '../errors.js'
import { htmlPage } from './html-page.js'
import { markdownPage } from './markdown-page.js'
import { isReport } from './shapes.js'
import type { AnyReport, RenderOptions } from './types.js'
import { viewOf } from './view.js'

/**
 * A report for people. As HTML one file that loads nothing and runs nothing; whatever the report holds stays text.
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
 */
export function render(report: AnyReport, options: RenderOptions = {}): string {
  if (typeof report !== 'object' || report === null) throw invalidArgType('report', 'object', report)
  if (typeof options !== 'object' || options === null) throw invalidArgType('options', 'object', options)
  if (!isReport(report)) throw invalidArgValue('report', report, 'must be a report of version 1')
  const { format = 'html' } = options
  switch (format) {
    case 'html':
      return htmlPage(viewOf(report))
    case 'markdown':
      return markdownPage(viewOf(report))
    case 'json':
      return `${JSON.stringify(report, null, 2)}\n`
    default:
      throw invalidArgValue('options.format', format, "must be one of: 'html', 'markdown', 'json'")
  }
}

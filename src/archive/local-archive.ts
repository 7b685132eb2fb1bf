import { join } from 'node:path'

import { judgeObject, judgePath } from '../options.js'
import { BaseArchive } from './base-archive.js'
import { LocalJournal } from './local-journal.js'
import { LocalStore } from './local-store.js'
import { SealedVault } from './sealed-vault.js'
import type { ArchiveOptions } from './types.js'

/** Options of a {@link LocalArchive}. */
export interface LocalArchiveOptions extends ArchiveOptions {
  /** Made with mode 0700 when something is first stored. Its file system has to know hard links. */
  directory: string
}

/**
 * An archive in a directory. Any number of processes may use it at once.
 *
 * `new LocalArchive()` touches no file; it throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` and, for a retention that is
 * not of 1 to 365 days, `ERR_OUT_OF_RANGE`.
 */
export class LocalArchive extends BaseArchive {
  constructor(options: LocalArchiveOptions) {
    const directory = judgePath(judgeObject(options, 'options').directory, 'options.directory')
    super(options, new SealedVault(new LocalStore(directory)), new LocalJournal(join(directory, 'audit')))
  }
}

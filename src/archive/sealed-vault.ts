import type { KeyRing } from './keys.js'
import { SealedFile, seal } from './sealed-file.js'
import type { Store, StoredFile } from './store.js'
import type { Incoming, Vault } from './vault.js'

/** Sealed captures in a {@link Store}. */
export class SealedVault implements Vault {
  readonly presigns = false
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  create(incoming: Incoming, signal: AbortSignal | undefined): Promise<boolean> {
    return this.#store.create(incoming.known.id, seal(incoming), signal)
  }

  async open(id: string, keys: KeyRing): Promise<SealedFile | null> {
    const file = await this.#store.open(id)
    return file && SealedFile.open(file, id, keys, this.#store.location(id))
  }

  find(id: string): Promise<StoredFile | null> {
    return this.#store.open(id)
  }

  ids(): AsyncIterable<string> {
    return this.#store.ids()
  }

  remove(id: string, only: SealedFile | StoredFile): Promise<boolean> {
    return this.#store.remove(id, only instanceof SealedFile ? only.file : only)
  }

  location(id: string): string {
    return this.#store.location(id)
  }

  tidy(): Promise<void> {
    return this.#store.tidy()
  }
}

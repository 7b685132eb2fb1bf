/** Where archived captures lie. Knows nothing of what is in them. */
export interface Store {
  /**
   * Makes the file of a capture. It is there, whole and for good, only once `content` has ended without throwing; otherwise
   * nothing of it stays. False: there is one already.
   */
  create(id: string, content: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<boolean>
  /** null: there is none. What was opened can be read to its end, though it may be removed meanwhile: no bucket keeps that promise. */
  open(id: string): Promise<StoredFile | null>
  ids(): AsyncIterable<string>
  /** Just this file, which is open, and not what has taken its place since. False: it was gone already. */
  remove(id: string, only: StoredFile): Promise<boolean>
  /** What others call it: a path, a URL. */
  location(id: string): string
  /** Clears away what writers that died left behind. */
  tidy(): Promise<void>
}

export interface StoredFile {
  readonly size: number
  /** As many bytes as there are, at most `length`. */
  read(position: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

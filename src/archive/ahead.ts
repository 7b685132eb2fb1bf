/** What `act` makes of each item, in order, while it is at work on as many as `atOnce`: what answers over a network is slow. */
export async function* ahead<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  atOnce: number,
  act: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = []
  for await (const item of items) {
    const one = act(item)
    // It is looked at in its turn, or never, when nobody wants more.
    one.catch(() => {})
    underWay.push(one)
    if (underWay.length >= atOnce) yield (await underWay.shift()) as R
  }
  for (const one of underWay) yield await one
}

'use strict';
// The browser of items. Everything that a model, a judge or a plugin wrote enters the page as textContent.
(() => {
  const at = (id) => document.getElementById(id);
  const ROW = 40; // pixels of a row of the list; report.css says the same
  const CACHE = 32; // unpacked blocks of texts that are kept
  const SPARE = 8; // rows rendered above and below those in sight
  const VERDICT = { win: '\u25b2', tie: '=', loss: '\u25bc', right: '\u2713', wrong: '\u2717', partly: '\u2248', 'no verdict': '\u2026', 'orders disagree': '\u2194' };

  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const bytesOf = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let place = 0; place < raw.length; place += 1) bytes[place] = raw.charCodeAt(place);
    return bytes;
  };

  const unpack = async (id) => {
    const stream = new Blob([bytesOf(at(id).textContent)]).stream().pipeThrough(new DecompressionStream('deflate'));
    return JSON.parse(await new Response(stream).text());
  };

  // Texts by number, from blocks that are unpacked when they are needed.
  class Texts {
    constructor(sizes) {
      this.starts = [0];
      for (const size of sizes) this.starts.push(this.starts[this.starts.length - 1] + size);
      this.kept = new Map();
    }

    get blocks() { return this.starts.length - 1; }

    async block(number) {
      const kept = this.kept.get(number) || unpack(`items-${number}`);
      this.kept.delete(number);
      this.kept.set(number, kept);
      if (this.kept.size > CACHE) this.kept.delete(this.kept.keys().next().value);
      return kept;
    }

    async text(number) {
      if (number < 0) return '';
      let low = 0;
      let high = this.blocks - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (this.starts[middle] <= number) low = middle; else high = middle - 1;
      }
      return (await this.block(low))[number - this.starts[low]];
    }

    // Numbers of the texts that hold the needle; null where the search was given up for another.
    async holding(needle, say, given_up) {
      const found = new Set();
      for (let number = 0; number < this.blocks; number += 1) {
        const texts = await (this.kept.get(number) || unpack(`items-${number}`));
        if (given_up()) return null;
        texts.forEach((text, place) => {
          if (text.toLowerCase().includes(needle)) found.add(this.starts[number] + place);
        });
        if (number % 10 === 9) say((number + 1) / this.blocks);
      }
      return found;
    }
  }

  const start = (data) => {
    const texts = new Texts(data.blocks);
    const byPrompt = data.prompts.map(() => []);
    data.items.forEach((item, number) => byPrompt[item[2]].push(number));
    const word = (number) => (number < 0 ? '' : data.words[number]);
    const several = (key) => new Set(data.cells.map((cell) => cell[key])).size > 1;
    const placeKeys = ['pool', 'budget', 'recipe', 'model'].filter((key) => data.cells.some((cell) => cell[key] !== undefined));
    const shownKeys = placeKeys.filter(several);
    const placeOf = (cell, keys) => keys.map((key) => (cell[key] === null ? 'own size' : cell[key])).filter((part) => part !== undefined).join(' \u00b7 ');
    const nameOf = (number) => {
      const cell = data.cells[number];
      const place = placeOf(cell, shownKeys);
      return `${cell.arm} ${cell.run}${place ? ` \u00b7 ${place}` : ''}`;
    };
    const benchmarkOf = (number) => {
      const one = data.benchmarks[number];
      if (one.kind === 'judge') return one.name + (one.against === 'anchor' ? '' : ` (${one.by} against ${one.against})`);
      return one.by === one.name ? one.name : `${one.name}: ${one.by}`;
    };

    const list = at('list');
    const rows = at('rows');
    const count = at('count');
    const article = at('item');
    const filters = at('filters');
    const field = (name) => filters.elements[name];
    let shown = [];
    let chosen = -1;
    let query = 0;
    let search = { needle: '', found: null };

    const fill = (name, values, spell) => {
      const select = field(name);
      select.append(new Option('all', ''));
      for (const value of values) select.append(new Option(spell ? spell(value) : value, value));
      select.closest('label').hidden = values.length < 2;
    };
    const used = (pick) => [...new Set(data.items.map(pick))];
    fill('benchmark', used((item) => item[1]), benchmarkOf);
    fill('place', [...new Set(used((item) => item[0]).map((cell) => placeOf(data.cells[cell], placeKeys)))]);
    fill('arm', [...new Set(used((item) => item[0]).map((cell) => data.cells[cell].arm))]);
    fill('outcome', used((item) => item[6]).sort((a, b) => a - b), (number) => data.outcomes[number]);
    fill('category', [...new Set(data.prompts.map((prompt) => prompt[3]).filter((number) => number >= 0))], word);

    const tester = () => {
      const [benchmark, place, arm, outcome, category] = ['benchmark', 'place', 'arm', 'outcome', 'category'].map((name) => field(name).value);
      const cells = data.cells.map((cell) => (!arm || cell.arm === arm) && (!place || placeOf(cell, placeKeys) === place));
      const { found } = search;
      return (item) => cells[item[0]]
        && (!benchmark || item[1] === Number(benchmark))
        && (!outcome || item[6] === Number(outcome))
        && (!category || data.prompts[item[2]][3] === Number(category))
        && (!found || holds(item, found));
    };
    const holds = (item, found) => {
      if (found.has(data.prompts[item[2]][2]) || found.has(item[3]) || found.has(item[4])) return true;
      for (let place = 3; place < item[7].length; place += 5) {
        if (found.has(item[7][place]) || found.has(item[7][place + 1])) return true;
      }
      return false;
    };

    const badge = (outcome) => {
      const element = make('span', `badge ${outcome.replace(' ', '_')}`, `${VERDICT[outcome] || ''} ${outcome}`);
      return element;
    };

    const rowOf = (place) => {
      const item = data.items[shown[place]];
      const row = make('div', 'row');
      row.id = `row-${place}`;
      row.setAttribute('role', 'option');
      row.setAttribute('aria-selected', String(shown[place] === chosen));
      row.style.top = `${place * ROW}px`;
      row.append(badge(data.outcomes[item[6]]), make('b', '', nameOf(item[0])), make('span', 'snippet', data.prompts[item[2]][1]));
      row.addEventListener('click', () => choose(place));
      return row;
    };

    const render = () => {
      const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
      const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
      const visible = [];
      for (let place = first; place < last; place += 1) visible.push(rowOf(place));
      rows.replaceChildren(...visible);
    };

    const filter = () => {
      const test = tester();
      shown = [];
      const counts = data.outcomes.map(() => 0);
      data.items.forEach((item, number) => {
        if (test(item)) { shown.push(number); counts[item[6]] += 1; }
      });
      const parts = data.outcomes.map((name, number) => [counts[number], name]).filter(([n]) => n).map(([n, name]) => `${n.toLocaleString('en')} ${name}`);
      count.textContent = `${shown.length.toLocaleString('en')} of ${data.items.length.toLocaleString('en')} items${parts.length ? `: ${parts.join(', ')}` : ''}`;
      rows.style.height = `${shown.length * ROW}px`;
      list.scrollTop = 0;
      render();
    };

    const seek = async () => {
      const needle = field('search').value.trim().toLowerCase();
      if (needle === search.needle) return;
      query += 1;
      const mine = query;
      const say = (share) => { count.textContent = `Searching \u2026 ${Math.round(100 * share)}%`; };
      if (needle) say(0);
      const found = needle ? await texts.holding(needle, say, () => mine !== query) : null;
      if (mine !== query) return;
      search = { needle, found };
      filter();
    };

    const choose = (place) => {
      chosen = shown[place];
      list.setAttribute('aria-activedescendant', `row-${place}`);
      render();
      show(data.items[chosen]);
    };

    const block = (title, text) => {
      const holder = make('div', 'said');
      holder.append(make('h4', '', title), make('pre', '', text));
      return holder;
    };

    const passes = async (item) => {
      const holder = make('div', 'passes');
      for (let place = 0; place < item[7].length; place += 5) {
        const [order, outcome, preference, raw, reason] = item[7].slice(place, place + 5);
        const said = preference === null ? word(outcome) : { 1: 'for this answer', 0: 'for the other', 0.5: 'tie' }[preference] || `preference ${preference}`;
        const shownAs = `Shown ${word(order)}: ${said}`;
        holder.append(block(shownAs, await texts.text(raw)));
        if (reason >= 0) holder.append(make('p', 'how', await texts.text(reason)));
      }
      return holder;
    };

    // One side: the answer of a cell, or (cell -1) what the item was compared with.
    const side = async (item, cell) => {
      const holder = make('div', 'answer');
      if (cell < 0) {
        holder.append(make('pre', '', await texts.text(item[4])));
        return holder;
      }
      const number = byPrompt[item[2]].find((one) => data.items[one][0] === cell && data.items[one][1] === item[1]);
      const own = number === undefined ? null : data.items[number];
      const answers = new Map(data.answers[item[2]]);
      if (own) holder.append(badge(data.outcomes[own[6]]), make('span', 'how', own[5] === null ? '' : ` score ${own[5]}`));
      holder.append(make('pre', '', await texts.text(own ? own[3] : answers.get(cell))));
      if (own) holder.append(await passes(own));
      return holder;
    };

    const column = (item, cell) => {
      const holder = make('div', 'side');
      const select = make('select');
      select.setAttribute('aria-label', 'Whose answer');
      if (item[4] >= 0) select.append(new Option(`compared with: ${data.benchmarks[item[1]].against}`, -1));
      const cells = new Set(data.answers[item[2]].map(([number]) => number));
      byPrompt[item[2]].forEach((number) => { if (data.items[number][1] === item[1]) cells.add(data.items[number][0]); });
      for (const one of [...cells].sort((a, b) => a - b)) select.append(new Option(nameOf(one), one));
      select.value = String(cell);
      const refresh = async () => {
        const content = await side(item, Number(select.value));
        holder.replaceChildren(select, content);
      };
      select.addEventListener('change', refresh);
      return [holder, refresh];
    };

    const show = async (item) => {
      const mine = item;
      const prompt = data.prompts[item[2]];
      const head = make('p', 'how', [benchmarkOf(item[1]), word(prompt[3]), prompt[0]].filter(Boolean).join(' \u00b7 '));
      const others = byPrompt[item[2]].map((number) => data.items[number]).filter((one) => one[1] === item[1] && one[0] !== item[0]);
      const right = item[4] >= 0 || !others.length ? -1 : others[0][0];
      const sides = [column(item, item[0]), ...(right >= 0 || item[4] >= 0 ? [column(item, right)] : [])];
      const parts = [head, block('Prompt', await texts.text(prompt[2]))];
      if (prompt[4] >= 0) parts.push(block('Reference', await texts.text(prompt[4])));
      await Promise.all(sides.map(([, refresh]) => refresh()));
      if (data.items[chosen] !== mine) return;
      const pair = make('div', 'pair');
      pair.append(...sides.map(([holder]) => holder));
      article.replaceChildren(...parts, pair);
    };

    let timer = 0;
    filters.addEventListener('submit', (event) => event.preventDefault());
    filters.addEventListener('change', (event) => { if (event.target !== field('search')) filter(); });
    field('search').addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(seek, 250); });
    let waiting = false;
    list.addEventListener('scroll', () => {
      if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; render(); }); }
    });
    list.addEventListener('keydown', (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step || !shown.length) return;
      event.preventDefault();
      const place = Math.min(Math.max(shown.indexOf(chosen) + step, 0), shown.length - 1);
      if (place * ROW < list.scrollTop) list.scrollTop = place * ROW;
      if ((place + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (place + 1) * ROW - list.clientHeight;
      choose(place);
    });
    addEventListener('resize', render);
    filter();
    if (shown.length) choose(0);
    document.documentElement.dataset.items = 'ready';
  };

  addEventListener('beforeprint', () => { document.querySelectorAll('details').forEach((one) => { one.open = true; }); });
  if (!at('browser') || !at('items-index')) return;
  at('without').hidden = true;
  at('browser').hidden = false;
  if (typeof DecompressionStream === 'undefined') {
    at('count').textContent = 'This browser cannot unpack the items: it lacks DecompressionStream.';
    return;
  }
  unpack('items-index').then(start, (error) => { at('count').textContent = `The items cannot be unpacked: ${error}`; });
})();

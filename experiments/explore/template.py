"""The page around the widgets: two columns, one on a narrow screen. Nothing is loaded from elsewhere."""

from jinja2 import Environment, Template

_SOURCE = """
{% from macros import embed %}
{% extends base %}
{% block preamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  body { margin: 0; font: 14px/1.45 system-ui, sans-serif; color: #222; background: #fafafa }
  header { padding: 10px 16px 0 }
  h1 { font-size: 19px; margin: 0 }
  h2 { font-size: 14px; margin: 14px 0 4px }
  main { display: grid; grid-template: "controls curve" "controls rest" 1fr / 300px minmax(0, 1fr);
         gap: 4px 20px; padding: 10px 16px 30px; max-width: 1500px; margin: 0 auto }
  .controls { grid-area: controls; display: grid; gap: 8px; align-content: start }
  .curve { grid-area: curve }
  .rest { grid-area: rest }
  .pair { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 12px }
  .row { display: flex; flex-wrap: wrap; gap: 10px; align-items: end }
  .call { overflow-x: auto; background: #f0f0f0; padding: 6px 10px; border-radius: 4px }
  @media (max-width: 760px) {
    main { grid-template: "curve" "controls" "rest" / minmax(0, 1fr); padding: 8px 10px 24px }
    .pair { grid-template-columns: minmax(0, 1fr) }
  }
</style>
{% endblock %}
{% block contents %}
<header><h1>Random-feature models: theory at one point</h1>{{ embed(roots.status) }}{{ embed(roots.refused) }}</header>
<main>
  <section class="controls">
    {{ embed(roots.algorithm) }}
    {% for name in sliders %}{{ embed(roots[name]) }}{% endfor %}
    {{ embed(roots.time) }}
    {{ embed(roots.shows) }}
    <h2>Training runs</h2>
    <div class="row">{{ embed(roots.seeds) }}{{ embed(roots.simulate) }}</div>
    {{ embed(roots.progress) }}
  </section>
  <section class="curve">
    {{ embed(roots.problem) }}
    {{ embed(roots.risk) }}
    {{ embed(roots.regime) }}
  </section>
  <section class="rest">
    <div class="pair">
      <div>{{ embed(roots.slope) }}</div>
      <div>{{ embed(roots.best) }}{{ embed(roots.frontier_note) }}</div>
    </div>
    {{ embed(roots.exponents) }}
    <h2>Take it with you</h2>
    {{ embed(roots.downloads) }}
    {{ embed(roots.link) }}
    <h2>The Python call {{ embed(roots.copy) }}</h2>
    <div class="call">{{ embed(roots.call) }}</div>
  </section>
</main>
{% endblock %}
"""
PAGE: Template = Environment(autoescape=False).from_string(_SOURCE)

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

// curve is the cost of one contender, by number of entries.
type curve struct {
	name   string
	points []point
}

type point struct {
	entries int
	cost    spread // nanoseconds
}

// The picture, in pixels. The horizontal axis is logarithmic; the vertical one begins at zero.
const (
	plotWidth, plotHeight   = 720.0, 400.0
	plotLeft, plotRight     = 64.0, 160.0
	plotTop, plotBottom     = 44.0, 56.0
	plotInnerX, plotInnerY  = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
	plotEntries, plotLegend = 16.0, 20.0
)

var colours = []string{"#d62728", "#1f77b4", "#2ca02c", "#7f7f7f"}

// plot draws the curves as an SVG, with a bar from the lower to the upper quartile at each point.
func plot(curves []curve) []byte {
	p := &plotter{least: math.MaxInt}
	for _, c := range curves {
		for _, at := range c.points {
			p.least, p.most = min(p.least, at.entries), max(p.most, at.entries)
			p.top = max(p.top, at.cost.high)
		}
	}
	p.step = 100.0
	for i := 0; p.top/p.step > 8; i++ {
		p.step *= []float64{2, 2.5, 2}[i%3]
	}
	p.top = math.Ceil(p.top/p.step) * p.step
	fmt.Fprintf(&p.out, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %[1]g %[2]g" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintln(&p.out, `<rect width="100%" height="100%" fill="white"/>`)
	p.text(plotLeft, plotTop-20, "start", "Processor time of a hit, µs")
	p.axes(curves)
	for i, c := range curves {
		p.curve(c, colours[i%len(colours)])
		y := plotTop + 10 + plotLegend*float64(i)
		fmt.Fprintf(&p.out, `<rect x="%g" y="%g" width="14" height="4" fill="%s"/>`+"\n", plotWidth-plotRight+16, y-6, colours[i%len(colours)])
		p.text(plotWidth-plotRight+36, y, "start", c.name)
	}
	fmt.Fprintln(&p.out, `</svg>`)
	return p.out.Bytes()
}

type plotter struct {
	out         bytes.Buffer
	least, most int     // entries
	top, step   float64 // of the vertical axis, nanoseconds
}

func (p *plotter) x(entries int) float64 {
	if p.least >= p.most {
		return plotLeft + plotInnerX/2
	}
	share := math.Log(float64(entries)/float64(p.least)) / math.Log(float64(p.most)/float64(p.least))
	return plotLeft + plotEntries + share*(plotInnerX-2*plotEntries)
}

func (p *plotter) y(cost float64) float64 { return plotTop + plotInnerY*(1-cost/p.top) }

func (p *plotter) axes(curves []curve) {
	for cost := 0.0; cost <= p.top; cost += p.step {
		y := p.y(cost)
		fmt.Fprintf(&p.out, `<line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="#ddd"/>`+"\n", plotLeft, y, plotLeft+plotInnerX, y)
		p.text(plotLeft-8, y+4, "end", fmt.Sprintf("%.1f", cost/1e3))
	}
	if len(curves) > 0 {
		for _, at := range curves[0].points {
			p.text(p.x(at.entries), plotTop+plotInnerY+20, "middle", number(at.entries))
		}
	}
	p.text(plotLeft+plotInnerX/2, plotTop+plotInnerY+44, "middle", "Entries of 1 KiB in the cache")
}

func (p *plotter) curve(c curve, colour string) {
	fmt.Fprintf(&p.out, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colour)
	for _, at := range c.points {
		fmt.Fprintf(&p.out, "%.1f,%.1f ", p.x(at.entries), p.y(at.cost.median))
	}
	fmt.Fprintln(&p.out, `"/>`)
	for _, at := range c.points {
		x := p.x(at.entries)
		fmt.Fprintf(&p.out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x, p.y(at.cost.low), x, p.y(at.cost.high), colour)
		fmt.Fprintf(&p.out, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x, p.y(at.cost.median), colour)
	}
}

func (p *plotter) text(x, y float64, anchor, text string) {
	fmt.Fprintf(&p.out, `<text x="%.1f" y="%.1f" text-anchor="%s">`, x, y, anchor)
	xml.EscapeText(&p.out, []byte(text)) // to a buffer, which never fails
	fmt.Fprintln(&p.out, `</text>`)
}

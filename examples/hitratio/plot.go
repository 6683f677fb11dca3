package main

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
)

// The picture has two panels, object and byte hit ratio, and a legend on the right. A panel has a
// curve for each policy over the capacities, on a logarithmic axis. All lengths are in pixels.
const (
	panelWidth  = 360.0
	panelHeight = 300.0
	marginLeft  = 52.0
	marginTop   = 40.0
	gap         = 60.0
	legendWidth = 120.0
	plotWidth   = marginLeft + 2*panelWidth + gap + legendWidth
	plotHeight  = marginTop + panelHeight + 56
)

var colours = []string{"#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"}

// plot draws rows as an SVG.
func plot(rows []row) []byte {
	p := &plotter{rows: rows}
	for _, r := range rows {
		if !slices.Contains(p.policies, r.policy) {
			p.policies = append(p.policies, r.policy)
		}
		p.top = max(p.top, r.result.objectPercent(), r.result.bytePercent())
	}
	p.top = min(100, max(10, math.Ceil(p.top/10)*10))
	p.least, p.most = rows[0].limit, rows[0].limit
	for _, r := range rows {
		p.least, p.most = min(p.least, r.limit), max(p.most, r.limit)
	}
	fmt.Fprintf(&p.out, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %[1]g %[2]g" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintln(&p.out, `<rect width="100%" height="100%" fill="white"/>`)
	p.panel(marginLeft, "Object hit ratio, %", result.objectPercent)
	p.panel(marginLeft+panelWidth+gap, "Byte hit ratio, %", result.bytePercent)
	p.legend(marginLeft + 2*panelWidth + gap + 16)
	fmt.Fprintln(&p.out, `</svg>`)
	return p.out.Bytes()
}

type plotter struct {
	out         bytes.Buffer
	rows        []row
	policies    []string // in order of first appearance
	top         float64  // of the vertical axis, percent
	least, most int64    // capacities
}

func (p *plotter) x(left float64, limit int64) float64 {
	if p.least == p.most {
		return left + panelWidth/2
	}
	share := math.Log(float64(limit)/float64(p.least)) / math.Log(float64(p.most)/float64(p.least))
	return left + 16 + share*(panelWidth-32)
}

func (p *plotter) y(percent float64) float64 {
	return marginTop + panelHeight*(1-percent/p.top)
}

func (p *plotter) panel(left float64, title string, value func(result) float64) {
	p.text(left+panelWidth/2, marginTop-16, "middle", title)
	for percent := 0.0; percent <= p.top; percent += 10 {
		y := p.y(percent)
		fmt.Fprintf(&p.out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", left, y, left+panelWidth, y)
		p.text(left-8, y+4, "end", fmt.Sprintf("%g", percent))
	}
	var labelled []string
	for _, r := range p.rows {
		if !slices.Contains(labelled, r.capacity) {
			labelled = append(labelled, r.capacity)
			p.text(p.x(left, r.limit), marginTop+panelHeight+20, "middle", r.capacity)
		}
	}
	p.text(left+panelWidth/2, marginTop+panelHeight+42, "middle", "Capacity")
	for i, policy := range p.policies {
		p.curve(left, policy, colours[i%len(colours)], value)
	}
}

func (p *plotter) curve(left float64, policy, colour string, value func(result) float64) {
	rows := slices.DeleteFunc(slices.Clone(p.rows), func(r row) bool { return r.policy != policy })
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.limit, b.limit) })
	fmt.Fprintf(&p.out, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colour)
	for _, r := range rows {
		fmt.Fprintf(&p.out, "%.1f,%.1f ", p.x(left, r.limit), p.y(value(r.result)))
	}
	fmt.Fprintln(&p.out, `"/>`)
	for _, r := range rows {
		fmt.Fprintf(&p.out, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", p.x(left, r.limit), p.y(value(r.result)), colour)
	}
}

func (p *plotter) legend(left float64) {
	for i, policy := range p.policies {
		y := marginTop + 12 + float64(i)*20
		fmt.Fprintf(&p.out, `<rect x="%.1f" y="%.1f" width="14" height="4" fill="%s"/>`+"\n", left, y-6, colours[i%len(colours)])
		p.text(left+20, y, "start", policy)
	}
}

func (p *plotter) text(x, y float64, anchor, text string) {
	fmt.Fprintf(&p.out, `<text x="%.1f" y="%.1f" text-anchor="%s">`, x, y, anchor)
	xml.EscapeText(&p.out, []byte(text)) // to a buffer, which never fails
	fmt.Fprintln(&p.out, `</text>`)
}

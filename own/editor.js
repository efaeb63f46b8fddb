// The editor of the page: strokes on an image, which the browser keeps. A stroke is a line through
// points of the image with a width in its pixels, so that it is as sharp as the image wherever one
// has zoomed to, and undoing it touches nothing else. Gradio gives `element`, `props`, `trigger`,
// `watch`. own/editor.py says what goes in and out.

const COLOURS = {yellow: "#F0E442", blue: "#0072B2"}
const LITTLE = 0.002 // of the pixels of the painted images: a colour that covers less is too little
const COUNTED = 400 // side of the picture in which painted pixels are counted
const MOST = 32 // screen pixels of a pixel of the image
const SECONDS = 2 // between two looks whether the server is there

const at = place => element.querySelector(place)
const stage = at(".stage"), circle = at(".circle"), slider = at(".size input")
const picture = at("canvas.picture").getContext("2d")
const painted = at("canvas.strokes").getContext("2d")

const prefix = `paint ${JSON.stringify(props.folder)} ` // what is kept of others is not ours
const kept = {} // {name of an image: {height, width, strokes, counts}}
const unique = `${Date.now()} ${Math.random()}`
const photograph = new Image()
let name = "", undone = [], stroke = null, dragged = null, canKeep = true, remark = ""
let view = {scale: 1, x: 0, y: 0} // a pixel of the image on the screen, and where its corner lies
let isWhole = true

const size = () => ({width: props.shown.width, height: props.shown.height})
const strokes = () => kept[name]?.strokes ?? []
const tool = () => at("[name=tool]:checked").value
const pointOf = event => {
    const box = stage.getBoundingClientRect()
    return [event.clientX - box.left, event.clientY - box.top]
}
const inImage = ([x, y]) => [x - view.x, y - view.y].map(
    distance => Math.round(distance / view.scale * 100) / 100)

// Keeping

function recall() {
    try {
        for (const key of Object.keys(localStorage))
            if (key.startsWith(prefix))
                kept[key.slice(prefix.length)] = JSON.parse(localStorage.getItem(key))
    } catch { canKeep = false }
}

function keep() {
    kept[name] = {...size(), strokes: strokes(), counts: counted()}
    try {
        if (strokes().length) localStorage.setItem(prefix + name, JSON.stringify(kept[name]))
        else localStorage.removeItem(prefix + name)
        canKeep = true
    } catch { canKeep = false }
    remark = ""
    tell()
}

const value = () => JSON.stringify({tab: tab(), images: kept})

function tell() {
    props.value = value()
    at(".undo").disabled = !strokes().length
    at(".redo").disabled = !undone.length
    at(".amount").textContent = remark + amount()
}

// A name that a tab has until it is closed, also when the page in it is loaded anew.
function tab() {
    try {
        return sessionStorage.tab ??= unique
    } catch { return unique }
}

function startOver() {
    if (!confirm("Forget all strokes, and what the network has learned?")) return
    for (const other of Object.keys(kept)) {
        try { localStorage.removeItem(prefix + other) } catch { canKeep = false }
        delete kept[other]
    }
    undone = []
    tell()
    draw()
    trigger("start_over")
}

// How much is painted

function counted() {
    const {width, height} = size(), scale = Math.min(1, COUNTED / Math.max(width, height))
    const small = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale))
    const context = small.getContext("2d")
    for (const each of strokes()) drawStroke(context, each, {scale, x: 0, y: 0})
    const pixels = context.getImageData(0, 0, small.width, small.height).data
    const counts = {yellow: 0, blue: 0}
    for (let index = 0; index < pixels.length; index += 4)
        counts[pixels[index] > 127 ? "yellow" : "blue"] += pixels[index + 3] / 255
    for (const colour in counts) counts[colour] = Math.round(counts[colour] / scale ** 2)
    return counts
}

function amount() {
    const images = Object.values(kept).filter(({counts: {yellow, blue}}) => yellow + blue)
    if (!images.length) return "Nothing is painted yet."
    const sum = of => images.reduce((total, image) => total + of(image), 0)
    const all = sum(image => image.width * image.height)
    const words = [], hints = []
    for (const colour in COLOURS) {
        const count = sum(image => image.counts[colour])
        words.push(`${count.toLocaleString("en")} pixels ${colour}`)
        if (!count) hints.push(`paint ${colour} too`)
        else if (count < LITTLE * all) hints.push(`that is little ${colour}`)
    }
    const where = images.length == 1 ? "1 image" : `${images.length} images`
    const hint = hints.length ? hints.join(", ") : "enough to begin"
    const lost = canKeep ? "" : " This browser cannot keep them: loading the page anew loses them."
    return `Painted: ${words.join(", ")}, on ${where}: ${hint}.${lost}`
}

// Drawing

function drawStroke(context, {tool, width, points}, {scale, x, y}) {
    context.setTransform(scale, 0, 0, scale, x, y)
    context.globalCompositeOperation = tool == "eraser" ? "destination-out" : "source-over"
    context.strokeStyle = COLOURS[tool] ?? "black"
    context.lineWidth = width
    context.lineCap = context.lineJoin = "round"
    context.beginPath()
    context.moveTo(...points[0])
    for (const point of points) context.lineTo(...point)
    context.stroke()
}

function draw() {
    const dots = devicePixelRatio
    for (const context of [picture, painted]) {
        context.canvas.width = stage.clientWidth * dots // which wipes it
        context.canvas.height = stage.clientHeight * dots
    }
    picture.imageSmoothingEnabled = view.scale < 1
    picture.setTransform(view.scale * dots, 0, 0, view.scale * dots, view.x * dots, view.y * dots)
    const {width, height} = size()
    if (photograph.naturalWidth) picture.drawImage(photograph, 0, 0, width, height)
    for (const each of strokes()) drawStroke(painted, each, onScreen())
    at(".zoom").textContent = `${Math.round(100 * view.scale)}%`
    showWidth()
}

function onScreen() {
    const dots = devicePixelRatio
    return {scale: view.scale * dots, x: view.x * dots, y: view.y * dots}
}

function showWidth() {
    const pixels = slider.value / view.scale
    at(".width").textContent = `${pixels < 10 ? pixels.toFixed(1) : Math.round(pixels)} pixels of `
        + "the image"
    circle.style.width = circle.style.height = `${slider.value}px`
}

// Looking

const fitting = () => Math.min(
    stage.clientWidth / size().width, stage.clientHeight / size().height)

function lookAt(scale, [x, y]) { // the place (x, y) of the stage stays where it is
    const larger = Math.min(Math.max(scale, fitting()), MOST) / view.scale
    isWhole = scale <= fitting()
    view = {scale: view.scale * larger, x: x - (x - view.x) * larger, y: y - (y - view.y) * larger}
    stayInside()
}

function stayInside() {
    for (const [axis, length, side] of [["x", size().width, stage.clientWidth],
                                        ["y", size().height, stage.clientHeight]]) {
        const spare = side - length * view.scale
        view[axis] = spare > 0 ? spare / 2 : Math.min(0, Math.max(spare, view[axis]))
    }
    draw()
}

function lookAtWhole() {
    isWhole = true
    view = {scale: fitting(), x: 0, y: 0}
    stayInside()
}

function zoom(factor) {
    lookAt(view.scale * factor, [stage.clientWidth / 2, stage.clientHeight / 2])
}

// What one does

function undo() {
    if (!strokes().length) return
    undone.push(strokes().pop())
    keep()
    draw()
}

function redo() {
    if (!undone.length) return
    kept[name].strokes.push(undone.pop())
    keep()
    draw()
}

function press(event) {
    if (!event.isPrimary) return // a second finger
    const point = pointOf(event)
    painted.canvas.setPointerCapture(event.pointerId)
    painted.canvas.focus({preventScroll: true}) // Ctrl+Z is no longer of the list of images
    if (tool() == "move" || event.button) {
        dragged = point
    } else if (name) {
        stroke = {tool: tool(), width: slider.value / view.scale, points: [inImage(point)]}
        drawStroke(painted, stroke, onScreen())
    }
    event.preventDefault()
}

function move(event) {
    if (!event.isPrimary) return
    const point = pointOf(event)
    Object.assign(circle.style, {left: `${point[0]}px`, top: `${point[1]}px`})
    circle.style.display = tool() == "move" ? "none" : "block"
    if (dragged) {
        view.x += point[0] - dragged[0]
        view.y += point[1] - dragged[1]
        dragged = point
        stayInside()
    }
    if (stroke) {
        for (const each of event.getCoalescedEvents?.() ?? [event])
            stroke.points.push(inImage(pointOf(each)))
        drawStroke(painted, stroke, onScreen())
    }
}

function release() {
    dragged = null
    if (!stroke) return
    kept[name] ??= {strokes: []}
    kept[name].strokes.push(stroke)
    stroke = null
    undone = []
    keep()
    draw() // without the edges that grew darker each time it was drawn
}

function turnWheel(event) {
    const factor = Math.exp(-event.deltaY / 400)
    if (factor < 1 && view.scale <= fitting()) return // the page is scrolled
    event.preventDefault()
    lookAt(view.scale * factor, pointOf(event))
}

function pressKey(event) {
    const key = event.key.toLowerCase()
    const isTyping = event.target.matches("textarea, input:not([type=radio], [type=range])")
    if (isTyping || !(event.ctrlKey || event.metaKey)) return
    if (key == "y" || key == "z" && event.shiftKey) redo()
    else if (key == "z") undo()
    else return
    event.preventDefault()
}

function show() {
    name = props.shown.name
    const {width, height} = size()
    if (kept[name] && (kept[name].width != width || kept[name].height != height)) {
        delete kept[name]
        remark = `${name} has another size than when it was painted: its strokes are gone. `
    }
    undone = []
    photograph.src = props.shown.url
    lookAtWhole()
    tell()
}

async function lookForServer() {
    let found = null
    try {
        found = (await (await fetch("gradio_api/app_id", {cache: "no-store"})).json()).app_id
    } catch {} // it has gone
    at(".gone").hidden = found !== null
    if (found !== null && found !== window.gradio_config.app_id) location.reload()
}

for (const [place, act] of Object.entries({
    ".undo": undo, ".redo": redo, ".over": startOver, ".whole": lookAtWhole,
    ".larger": () => zoom(1.5), ".smaller": () => zoom(1 / 1.5)}))
    at(place).addEventListener("click", act)
slider.addEventListener("input", showWidth)
painted.canvas.addEventListener("pointerdown", press)
painted.canvas.addEventListener("pointermove", move)
painted.canvas.addEventListener("pointerup", release)
painted.canvas.addEventListener("pointercancel", release)
painted.canvas.addEventListener("pointerleave", () => { circle.style.display = "none" })
painted.canvas.addEventListener("contextmenu", event => event.preventDefault())
painted.canvas.addEventListener("wheel", turnWheel, {passive: false})
document.addEventListener("keydown", pressKey)
photograph.addEventListener("load", () => {
    stage.dataset.shown = name
    draw()
})
new ResizeObserver(() => isWhole ? lookAtWhole() : stayInside()).observe(stage)
setInterval(lookForServer, SECONDS * 1000)
watch("shown", show)
recall()
tell()
window.painted = value // what is kept, before there is a `props.value`
